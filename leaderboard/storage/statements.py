"""The SQL that chooses, adds and removes runs: statements over the tables of schema/1.sql."""

from collections.abc import Mapping

import duckdb
import pyarrow as pa

from leaderboard.errors import LeaderboardError

RUN_TABLES = ("runs", "scores", "per_query", "examples", "phases", "costs")
# A model or task already known keeps its row unless the new one has details.
_KNOWN = {
    "models": (
        "ON CONFLICT DO UPDATE SET kind = excluded.kind, details = excluded.details"
        " WHERE excluded.details <> '{}'"
    ),
    "tasks": (
        "ON CONFLICT DO UPDATE SET type = excluded.type, main_metric = excluded.main_metric,"
        " details = excluded.details WHERE excluded.details <> '{}'"
    ),
    "answers": "ON CONFLICT DO NOTHING",
    "imported": "ON CONFLICT DO UPDATE SET file = excluded.file, state = excluded.state,"
    " runs = excluded.runs, problem = excluded.problem, reader = excluded.reader",
}
# What `runs` and `scores` can be filtered by: columns of the view `results`.
FILTERS = (
    "id", "model", "model_revision", "kind", "task", "task_revision", "split", "subset", "type",
    "index", "layer", "dim", "precision", "settings", "source",
)  # fmt: skip


def insert_into(table: str, select: str) -> str:
    """The statement that adds the rows of `select` to `table`,
    by `_KNOWN` where a row of the same key is there.
    """
    return f"INSERT INTO {table} BY NAME {select} {_KNOWN.get(table, '')}"


def insert(connection: duckdb.DuckDBPyConnection, content: Mapping[str, pa.Table]) -> None:
    """Add rows, given by table name."""
    for name, table in content.items():
        if table.num_rows:
            connection.register("incoming", table)
            connection.execute(insert_into(name, "SELECT * FROM incoming"))
            connection.unregister("incoming")


def delete_runs(connection: duckdb.DuckDBPyConnection, ids: list[str]) -> None:
    """Remove the rows of these runs from every table, where they are stored."""
    ids = list(stored_ids(connection, ids))
    for name in RUN_TABLES if ids else ():
        key = "id" if name == "runs" else "run_id"
        connection.execute(f"DELETE FROM {name} WHERE {key} IN (SELECT unnest(?))", [ids])


def stored_ids(connection: duckdb.DuckDBPyConnection, ids: list[str]) -> set[str]:
    """Those of `ids` that the store has."""
    return {
        id
        for (id,) in connection.execute(
            "SELECT id FROM runs WHERE id IN (SELECT unnest(?))", [ids]
        ).fetchall()
    }


def full_id(connection: duckdb.DuckDBPyConnection, id: str) -> str:
    """The id of the one run whose id begins with `id`.

    Raises:
        LeaderboardError: there is none, or more than one.
    """
    query = "SELECT id FROM runs WHERE starts_with(id, ?) ORDER BY id LIMIT 4"
    # DuckDB takes no half of a surrogate pair; ids are hexadecimal.
    rows = connection.execute(query, [id]).fetchall() if id.isascii() else []
    ids = [row[0] for row in rows]
    if id in ids:
        return id
    if not ids or not id:
        raise LeaderboardError(f"No run has the id {id!r}.", "Type: embedlab runs list")
    if len(ids) > 1:
        raise LeaderboardError(
            f"{id!r} is the beginning of several runs' ids.",
            f"Type more of it: {', '.join(ids[:3])}, ...",
        )
    return str(ids[0])


def condition_of(where: Mapping[str, object]) -> tuple[str, list[object]]:
    """The condition on the view `results` that `where` means, and its parameters.

    Raises:
        LeaderboardError: a key is not one of `FILTERS`.
    """
    parts, parameters = ["TRUE"], list[object]()
    for name, value in where.items():
        if name not in FILTERS:
            raise LeaderboardError(
                f"Runs cannot be filtered by {name!r}.", f"Valid: {', '.join(FILTERS)}."
            )
        values = list(value) if isinstance(value, (list, tuple, set)) else [value]
        parts.append(f'list_contains(?, "{name}")' if None not in values else f'"{name}" IS NULL')
        if None not in values:
            parameters.append(values)
    return " AND ".join(parts), parameters
