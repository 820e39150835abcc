"""What two stores of results have alike: everything but ids, times, and how they were asked for."""

import json
from collections import Counter

from leaderboard.storage.store import Store

TIMES = ("seconds", "per_second", "_ms", "peak_memory_bytes")  # what no two runs have alike
OF_THE_STORE = ("db", "array", "cluster")  # how it was asked for
# What a process tells of texts that it has encoded itself, as no other had before.
ENCODED = (
    "encoded_now_seconds", "encoded_now_texts", "padding_share", "workers", "batch_tokens",
)  # fmt: skip


def content(path):
    """All tables of a store and its rankings, without ids, times, and the names of stores."""
    store = Store(path)
    runs = {row["id"]: row for row in store.runs().to_pylist()}
    known = {id: f"{row['model']} on {row['task']}" for id, row in runs.items()}
    tables = store.query(
        "SELECT table_name AS t FROM information_schema.tables WHERE table_type = 'BASE TABLE'"
    )["t"].to_pylist()
    assert {"runs", "models", "tasks", "scores", "per_query", "costs", "failures"} <= set(tables)
    found = {table: Counter() for table in tables}
    for table in tables:
        for row in store.query(f"SELECT * FROM {table}").to_pylist():
            row = {key: value for key, value in row.items() if key not in ("created", "seconds")}
            row |= {key: known[row[key]] for key in ("id", "run_id") if key in row}
            if table == "costs" and row["name"] in ENCODED:
                continue
            if table == "costs" and row["name"].endswith(TIMES):
                row["value"] = row["value"] > 0
            for column, but in (("asked", OF_THE_STORE), ("resolved", ENCODED)):
                if column in row:
                    said = json.loads(row[column])
                    row[column] = {key: said[key] for key in said if key not in but}
            found[table][repr(row)] += 1
    found["rankings"] = Counter()
    for id, name in known.items():
        ranking = store.ranking(id)
        ids = [[ranking.document_ids[n] for n in row] for row in ranking.rows.tolist()]
        found["rankings"][name, str(ids), ranking.scores.tobytes()] += 1
    return found


def unlike(one, other):
    """The rows that are in one of two stores alone, by table."""
    return {
        table: [*(one[table] - other[table]), *(other[table] - one[table])]
        for table in one.keys() | other.keys()
        if one[table] != other[table]
    }
