"""What the pages read: one state of the store for a moment, then its newest."""

import time

from app import reading
from tests.app import sample


def test_pages_show_one_state_for_a_moment_and_then_the_newest(serve, tmp_path):
    store = sample.fill(tmp_path / "results.duckdb")
    serve(db=store.path)
    began = time.monotonic()
    state, runs = reading.stamp(), len(reading.newest_runs(1_000))
    store.add(sample.sts_run("new", "dense", 0.5, 77))
    assert store.stamp() != state
    seen = reading.stamp(), len(reading.newest_runs(1_000))
    if time.monotonic() - began < reading._MOMENT:  # a slow machine may be past it
        assert seen == (state, runs)
    time.sleep(reading._MOMENT)
    assert (reading.stamp(), len(reading.newest_runs(1_000))) == (store.stamp(), runs + 1)
