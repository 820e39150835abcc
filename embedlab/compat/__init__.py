"""What embedlab touches of other libraries' private API, and nowhere else: one module per library.

Each function says the version it was read in, and `tests/embedlab/compat` fails when a library
changes it.
"""
