"""Models behind a server: how they are named, asked, paid for, and what they answered."""
