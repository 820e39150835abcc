"""What rankings and comparisons show."""
