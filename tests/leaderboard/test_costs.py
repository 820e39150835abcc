import pandas as pd
import pytest

from leaderboard.tables.costs import combine, notes


def on_tasks(costs: pd.DataFrame) -> pd.DataFrame:
    """The runs r1 and r3 are on one task, r2 on another."""
    return costs.assign(
        task=costs["run_id"].map({"r1": "A", "r3": "A", "r2": "B"}), split="test", subset="default"
    )


def test_costs_of_several_tasks_as_those_of_one_row():
    costs = pd.DataFrame(
        [
            (0, "r1", "encode_seconds", 10.0),
            (0, "r2", "encode_seconds", 30.0),
            (0, "r1", "texts_per_second", 100.0),
            (0, "r2", "texts_per_second", 20.0),
            (0, "r1", "peak_memory_bytes", 5.0),
            (0, "r2", "peak_memory_bytes", 9.0),
            (0, "r1", "latency_p50_ms", 2.0),
            (0, "r2", "latency_p50_ms", 4.0),
            (0, "r1", "index_bytes", 7.0),
            (1, "r3", "search_seconds", 2.0),
            (1, "r3", "queries_per_second", 50.0),
        ],
        columns=["view", "run_id", "name", "value"],
    )
    one, other = combine(on_tasks(costs)).values()
    assert one == {
        "encode_seconds": 40.0,
        "texts_per_second": pytest.approx((10 * 100 + 30 * 20) / 40),
        "peak_memory_bytes": 9.0,
        "latency_p50_ms": 3.0,
        "index_bytes": 7.0,
    }
    assert other == {"search_seconds": 2.0, "queries_per_second": 50.0}


def test_a_cost_of_fewer_tasks_is_none():
    """A model timed on one task of two is not the cheaper one."""
    rows = [
        (0, "r1", "encode_seconds", 10.0),
        (0, "r2", "encode_seconds", 30.0),
        (1, "r3", "encode_seconds", 15.0),
        (1, "r3", "parameters", 7e9),
        (1, "r3", "peak_memory_bytes", 5.0),
    ]
    costs = on_tasks(pd.DataFrame(rows, columns=["view", "run_id", "name", "value"]))
    combined = combine(costs)
    assert combined == {
        0: {"encode_seconds": 40.0},
        1: {"parameters": 7e9, "peak_memory_bytes": 5.0},
    }
    assert notes(costs, combined) == [
        "1 view was not measured on all tasks on which others were: what it would show as"
        " encode_seconds does not compare and is left out."
    ]


def test_what_was_derived_is_said():
    rows = [
        (0, "r1", "encode_seconds", 10.0),
        (0, "r1", "encode_derived_share", 1.0),
        (1, "r3", "encode_seconds", 5.0),
    ]
    costs = on_tasks(pd.DataFrame(rows, columns=["view", "run_id", "name", "value"]))
    (said,) = notes(costs, combine(costs))
    assert said.startswith("The encode seconds and speeds of 1 view are derived, not measured")
