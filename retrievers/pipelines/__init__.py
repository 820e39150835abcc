"""Retrievers made of others: an encoder before an index, fusions, second stages."""
