"""`python -m app`: serve the dashboard. Loads what the pages need first, so that the first page is quick."""

import sys
from pathlib import Path

import altair  # noqa: F401
from streamlit.web.cli import main

import leaderboard.comparison
import leaderboard.grids
import leaderboard.standings  # noqa: F401

if __name__ == "__main__":
    sys.argv = ["streamlit", "run", str(Path(__file__).with_name("main.py")), *sys.argv[1:]]
    main()
