"""Results from and for other programs."""
