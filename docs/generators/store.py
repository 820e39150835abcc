"""The tables of a results store: read from an empty one that the schema's files have made."""

import re
from pathlib import Path

import duckdb

from generators.page_tables import code, table

SCHEMA = Path(__file__).parents[2] / "leaderboard" / "storage" / "schema"

MEANINGS = {
    "meta": (
        "The version of the schema; a store of an older version is brought up to date when it is"
        " opened."
    ),
    "models": "One revision of a model; `details` is its card.",
    "tasks": "One split and subset of a revision of a task, with its type and main metric.",
    "runs": (
        "One model on one task through one view: layer, dimensions, precision, index. `asked` holds"
        " the options, `resolved` what came of them, `environment` versions, hardware and git"
        " revision."
    ),
    "scores": "Every metric of a run, averaged over its queries.",
    "per_query": (
        "Every metric of a run for each query: what tests and intervals are computed from."
    ),
    "examples": (
        "What the score of a run that ranks nothing was computed from: one list of values, an"
        " example each, for every series and experiment."
    ),
    "phases": "The seconds that each part of a run took, in order.",
    "costs": (
        "What a run cost, by name: `encode_seconds`, `texts_per_second`, `latency_p50_ms`,"
        " `index_bytes`, ..."
    ),
    "failures": "What could not be evaluated, with the error and what to do about it.",
    "imported": "Files that were imported before, so that they are passed over.",
    "answers": "What came of a question in a RAG run, written as soon as it is known.",
    "results": (
        "Each run with its model's kind and its task's type and main metric: what people query"
        " first."
    ),
}
_COMMENT = re.compile(r'^\s+"?(\w+)"? [A-Z]+.*?,?\s+-- (.+)$|ADD COLUMN (\w+) .*?-- (.+)$', re.M)

_HEAD = """# The results store

One DuckDB file, `EMBEDLAB_HOME/results.duckdb` by default (`--db` names another). Rankings and the
first texts of a run lie beside it in `results.files/`, as Parquet. Times are UTC. `embedlab export
FOLDER --format parquet` writes the tables for other programs; or open the file yourself:

```python
import duckdb

with duckdb.connect("results.duckdb", read_only=True) as store:
    best = store.sql("SELECT model, task, main_score FROM results ORDER BY main_score DESC LIMIT 5")
    print(best.df())
```

The files that make it are in `leaderboard/storage/schema/`, one for each version.
"""


def statements() -> str:
    """The schema, all versions in order."""
    files = sorted(SCHEMA.glob("*.sql"), key=lambda path: int(path.stem))
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


def columns() -> dict[str, list[tuple[str, str]]]:
    """table or view -> (column, type) of each."""
    with duckdb.connect() as database:
        database.execute(statements())
        found = database.sql(
            "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE NOT internal"
        )
        rows = found.fetchall()
    return {
        name: [(column, kind) for table, column, kind in rows if table == name] for name, *_ in rows
    }


def page() -> str:
    """The page reference/store.md.

    Raises:
        KeyError: a table has no meaning in `MEANINGS`.
    """
    notes = {
        one or other: first or second
        for one, first, other, second in _COMMENT.findall(statements())
    }
    parts = [_HEAD]
    for name, listed in columns().items():
        rows = [[code(column), kind, notes.get(column, "")] for column, kind in listed]
        parts += [f"## {name}", MEANINGS[name], table(["column", "type", "note"], rows)]
    return "\n\n".join(parts)
