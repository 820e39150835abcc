import pandas as pd
import pytest

from leaderboard.costs import combine


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
    one, other = (row.dropna().to_dict() for _, row in combine(costs).iterrows())
    assert one == {
        "encode_seconds": 40.0,
        "texts_per_second": pytest.approx((10 * 100 + 30 * 20) / 40),
        "peak_memory_bytes": 9.0,
        "latency_p50_ms": 3.0,
        "index_bytes": 7.0,
    }
    assert other == {"search_seconds": 2.0, "queries_per_second": 50.0}
