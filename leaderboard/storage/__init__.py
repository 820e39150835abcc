"""The results store: its file, its tables, and what is read from it."""
