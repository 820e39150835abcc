"""Indexes: dense vectors, sparse vectors, texts; one file per family."""
