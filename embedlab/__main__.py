"""`python -m embedlab`: the command line."""

from embedlab.cli import run

run()
