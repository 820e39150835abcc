"""Losses that sentence-transformers lacks, each with its interface:
`forward(sentence_features, labels)`.
"""
