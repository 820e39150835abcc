"""A model's files and code: which they are, what identifies them, whether they are whole."""
