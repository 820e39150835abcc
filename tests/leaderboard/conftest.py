"""Runs for the tests of the store."""

import numpy as np
import pytest

from leaderboard.records import Model, PerQuery, Phase, Ranking, Run, Task, Texts


def _run(seed: int = 0, *, queries: int = 5, depth: int = 3, **fields) -> Run:
    """A whole run with scores that depend on `seed` alone; the last query has no result."""
    rng = np.random.default_rng(seed)
    query_ids = [f"q{i}" for i in range(queries)]
    documents = [f"d{i}" for i in range(20)]
    rows = np.stack([rng.permutation(20)[:depth] for _ in range(queries)]).astype(np.int32)
    rows[-1] = -1
    scores = np.where(rows < 0, -np.inf, -np.sort(-rng.random((queries, depth)))).astype(np.float32)
    per_query = {name: rng.random(queries) for name in ("ndcg_at_10", "recall_at_100")}
    means = {name: float(values.mean()) for name, values in per_query.items()}
    values = {
        "model": Model("org/model", "abc", "dense", {"dim": 384}),
        "task": Task("SciFact", "Retrieval", revision="r1", details={"languages": ["eng-Latn"]}),
        "main_score": means["ndcg_at_10"],
        "scores": means,
        "index": "torch",
        "dim": 384,
        "costs": {"encode_seconds": 1.5},
        "asked": {"batch": 8},
        "resolved": {
            "prompts": {"query": "query: "},
            "first_inputs": {"query": "query: is it so?"},
        },
        "environment": {"torch": "2"},
        "phases": [Phase("load", 0.5), Phase("encode", 1.0)],
        "per_query": PerQuery(query_ids, per_query),
        "ranking": Ranking(query_ids, documents, rows, scores),
        "texts": Texts({"q0": "is it so?"}, {"q0": {"d1": 1}}, {f"d{seed}": f"text {seed}"}),
    }
    return Run(**(values | fields))


@pytest.fixture
def make_run():
    """The function that makes a run; other processes of a test import it by this file's path."""
    return _run
