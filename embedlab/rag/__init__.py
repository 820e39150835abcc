"""Retrieval-augmented generation: a retriever that was measured,
a generator, and questions with known answers.
"""
