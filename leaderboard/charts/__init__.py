"""Figures of a leaderboard, each described once: for a page and for a paper."""
