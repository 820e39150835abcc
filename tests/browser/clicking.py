"""Clicking through the dashboard while other processes write runs into its store.

As a program it is those processes: `python clicking.py STORE PROCESSES PAUSE` writes until it is
ended.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from leaderboard.storage.store import Store
from tests.app import sample
from tests.browser.tab import Tab

PAGES = ["Leaderboard", "Cost and quality", "Grids", "Compare", "Run", "Search", "Live"]
_SELECTIONS = {
    "Leaderboard": [
        ("Order by", "Borda count"),
        ("Order by", "Mean over tasks"),
        ("Task types", "Retrieval"),
    ],
    "Cost and quality": [("Cost", "latency p95 (ms)"), ("Cost", "texts / s")],
    "Grids": [
        ("Index and precision", "faiss:hnsw32, int8"),
        ("Index and precision", "faiss:flat, float32"),
    ],
    "Compare": [("Test", "t"), ("Correction", "Benjamini-Hochberg")],
    "Run": [("Model", "bm25"), ("Model", "mistral-splade")],
}
_WRONG = '[data-testid="stException"], [data-testid="stAlertContentError"]'


@contextmanager
def writers(path: Path, processes: int, pause: float) -> Iterator[None]:
    """So many processes that write runs into the store at `path`,
    each one every `pause` seconds or more.
    """
    command = [sys.executable, __file__, str(path), str(processes), str(pause)]
    root = Path(__file__).parents[2]
    running = subprocess.Popen(
        command, cwd=root, env={"PYTHONPATH": str(root)}, start_new_session=True
    )
    try:
        yield
        assert running.poll() is None, "a writer has failed"
    finally:
        os.killpg(running.pid, signal.SIGTERM)
        running.wait()


def click_for(tab: Tab, seconds: float, seed: int = 0) -> list[tuple[float, str]]:
    """Click at random for so long; fails at the first error on the page.
    Returns (seconds, what) of each click.
    """
    choice = random.Random(seed)
    clicks = []
    end = time.monotonic() + seconds
    page = "Leaderboard"
    while time.monotonic() < end or len(clicks) < len(PAGES):
        began = time.monotonic()
        if page in _SELECTIONS and choice.random() < 0.5:
            label, option = choice.choice(_SELECTIONS[page])
            tab.toggle(label, option)
            what = f"{page}: {label} = {option}"
        else:
            page = (
                PAGES[len(clicks) % len(PAGES)]
                if len(clicks) < len(PAGES)
                else choice.choice(PAGES)
            )
            tab.visit(page)
            what = page
        clicks.append((time.monotonic() - began, what))
        assert tab.page.locator(_WRONG).count() == 0, (
            what,
            tab.page.locator(_WRONG).all_inner_texts(),
        )
    assert tab.problems == []
    return clicks


def _write(path: str, number: int, pause: float) -> None:
    store = Store(path, timeout=120)
    for at in count():
        seed = 1_000 + 100_000 * number + at
        store.add(sample.whole_run(f"written-{at % 9}", "dense", 0.5, sample.TASKS[at % 2], seed))
        time.sleep(pause)


if __name__ == "__main__":
    for writer in range(int(sys.argv[2])):
        # Forked, so that what takes seconds to import is imported once.
        if not os.fork():
            _write(sys.argv[1], writer, float(sys.argv[3]))
    os.wait()  # until one fails
