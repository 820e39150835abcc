"""`python -m app`: serve the dashboard.
Loads what the pages need first, so that the first page is quick.
"""

import sys
from contextlib import suppress
from pathlib import Path
from threading import Thread

import altair  # noqa: F401
from streamlit.web.cli import main

from app import reading
from leaderboard.errors import LeaderboardError


def warm() -> None:
    """Read what the first page shows, into the caches that all sessions share;
    its errors are the page's to show.
    """
    with suppress(LeaderboardError):
        fullest = reading.fullest_benchmark()
        tasks = reading.benchmarks().parts[fullest] if fullest else reading.counted_tasks()
        parts = reading.hashable(tasks)
        reading.ranked(parts, "mean", every_view=False)
        sure = reading.ranked_surely(parts, "mean", every_view=False)
        while not sure.ready(1):
            pass


if __name__ == "__main__":
    Thread(target=warm, daemon=True).start()
    sys.argv = ["streamlit", "run", str(Path(__file__).with_name("served.py")), *sys.argv[1:]]
    main()
