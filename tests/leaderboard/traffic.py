"""One process of the concurrency tests:
`traffic.py write STORE COUNT SEED` or `traffic.py poll STORE UNTIL_FILE`.
"""

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from leaderboard.records import Model, PerQuery, Ranking, Run, Task, Texts
from leaderboard.storage.store import Store

QUERIES = 20
_IDS = [f"q{i}" for i in range(QUERIES)]


def whole_run(seed: int) -> Run:
    """A run whose every part depends on `seed`, so that a mixed or partial one shows."""
    values = np.full(QUERIES, seed, np.float64)
    rows = np.tile(np.arange(10, dtype=np.int32), (QUERIES, 1))
    return Run(
        Model(f"model-{seed % 7}"),
        Task("Traffic", "Retrieval"),
        main_score=float(seed),
        scores={"ndcg_at_10": float(seed), "map": float(seed)},
        costs={"seconds": float(seed)},
        per_query=PerQuery(_IDS, {"ndcg_at_10": values}),
        ranking=Ranking(
            _IDS, [f"d{i}" for i in range(10)], rows, np.full(rows.shape, seed, np.float32)
        ),
        texts=Texts({"q0": "text"}, {"q0": {"d0": 1}}, {f"d{seed % 3}": "text"}),
        id=f"run-{seed}",
    )


def write(store: Store, count: int, seed: int) -> None:
    for number in range(seed, seed + count):
        print(store.add(whole_run(number)), flush=True)


def poll(store: Store, until: Path) -> None:
    """Read until the file `until` exists;
    every state seen must consist of whole runs and never lose one.
    """
    polls, seen = 0, 0
    while not until.exists():
        broken = store.query(PARTIAL)
        assert not broken.num_rows, broken.to_pylist()
        runs = store.runs()
        assert runs.num_rows >= seen, (runs.num_rows, seen)
        if runs.num_rows:
            assert store.ranking(runs["id"][0].as_py()) is not None
        polls, seen = polls + 1, runs.num_rows
        time.sleep(0.02)
    print(polls)


# Runs whose parts are missing, doubled or another run's.
PARTIAL = f"""
    SELECT r.id, s.n, q.n, c.n FROM runs r
    LEFT JOIN (SELECT run_id, count(*) n, min(value) low, max(value) high FROM scores GROUP BY 1) s
        ON s.run_id = r.id
    LEFT JOIN (
        SELECT run_id, count(*) n, min(value) low, max(value) high FROM per_query GROUP BY 1
    ) q ON q.run_id = r.id
    LEFT JOIN (SELECT run_id, count(*) n FROM costs GROUP BY run_id) c ON c.run_id = r.id
    WHERE (s.n, q.n, c.n) IS DISTINCT FROM (2, {QUERIES}, 1)
       OR least(s.low, q.low) <> r.main_score OR greatest(s.high, q.high) <> r.main_score
"""

if __name__ == "__main__":
    mode, path, *rest = sys.argv[1:]
    if mode == "write":
        write(Store(path, timeout=120), *map(int, rest))
    else:
        poll(Store(path, timeout=120), Path(rest[0]))
