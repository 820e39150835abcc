"""A static site of leaderboards: files that open from disk, and that any server can host."""
