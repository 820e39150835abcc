"""Paired tests, intervals, groups, and orders of models."""
