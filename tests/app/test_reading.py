"""What the pages read: one state of the store for a moment, then its newest."""

import time

from app import reading
from tests.app import sample


def test_pages_show_one_state_for_a_moment_and_then_the_newest(serve, tmp_path):
    store = sample.fill(tmp_path / "results.duckdb")
    serve(db=store.path)
    began = time.monotonic()
    state, runs = reading.stamp(), len(reading.newest(1_000)[0])
    store.add(sample.sts_run("new", "dense", 0.5, 77))
    assert store.stamp() != state
    seen = reading.stamp(), len(reading.newest(1_000)[0])
    if time.monotonic() - began < reading._MOMENT:  # a slow machine may be past it
        assert seen == (state, runs)
    time.sleep(reading._MOMENT)
    assert (reading.stamp(), len(reading.newest(1_000)[0])) == (store.stamp(), runs + 1)


def test_an_aggregate_is_offered_once_and_its_members_by_benchmark(tmp_path, serve):
    import json

    from app import reading
    from leaderboard.records import Model, Run, Task
    from leaderboard.storage.rows import tables
    from leaderboard.storage.store import Store
    from leaderboard.tables.aggregates import aggregates

    members = aggregates()["CQADupstackRetrieval"].members
    runs = [
        Run(Model(model), Task(task, "Retrieval"), 0.5, {})
        for task in members
        for model in ("a", "b")
    ]
    runs.append(Run(Model("c"), Task("CQADupstackRetrieval", "Retrieval"), 0.6, {}, source="mteb"))
    Store(tmp_path / "r.duckdb").add_tables(tables(runs))
    part = [("test", "default")]
    parts = {"whole": {"CQADupstackRetrieval": part}, "one": {members[0]: part}}
    (tmp_path / "benchmarks.json").write_text(json.dumps({"parts": parts}))
    serve(db=tmp_path / "r.duckdb", benchmarks=tmp_path / "benchmarks.json")
    assert reading.counted_tasks() == ["CQADupstackRetrieval"]
    assert set(reading.tasks()["task"]) == {"CQADupstackRetrieval", *members}
    assert reading.fullest_benchmark() == "whole"
    ranked = reading.ranked(reading.hashable(reading.counted_tasks()), "mean")
    assert [(row.model, row.mean, row.tasks) for row in ranked.rows] == [
        ("c", 0.6, 1),
        ("a", 0.5, 1),
        ("b", 0.5, 1),
    ]
    ranked = reading.ranked(reading.hashable(parts["one"]), "mean")
    assert [row.model for row in ranked.rows] == ["a", "b"] and ranked.tasks == [members[0]]
