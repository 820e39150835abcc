"""What writes the pages that come from the code; `docs/` is on the path (see hooks.py)."""
