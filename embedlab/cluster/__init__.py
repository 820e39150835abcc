"""Evaluations on several processes or machines, through Ray."""
