"""Vectors on disk, found by everything that shaped them, and views of them."""
