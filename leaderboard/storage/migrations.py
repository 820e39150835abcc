"""The versions of the store's schema: bringing a file up to date; whether its tables are ours."""

from functools import cache
from pathlib import Path

import duckdb

SCHEMA = Path(__file__).parent / "schema"
_OURS = "database_name = current_database() AND NOT internal"
_OBJECTS = {
    "table": (
        "SELECT schema_name, table_name, list((column_name, data_type, column_default) ORDER BY"
        f" column_index) FROM duckdb_columns() WHERE {_OURS} GROUP BY ALL"
    ),
    "view": f"SELECT schema_name, view_name, sql FROM duckdb_views() WHERE {_OURS}",
    "macro": "SELECT schema_name, function_name, '' FROM duckdb_functions() WHERE NOT internal",
}


def schema_version() -> int:
    """The version of the schema that this code writes: the highest numbered file in schema/."""
    return max(int(file.stem) for file in SCHEMA.glob("*.sql"))


def _objects(connection: duckdb.DuckDBPyConnection) -> dict[str, tuple[str, object]]:
    """What the file holds under each name: its kind, and a table's columns or what a view says."""
    objects = {}
    for kind, query in _OBJECTS.items():  # to duckdb_columns, a view is a table as well
        for schema, name, says in connection.execute(query).fetchall():
            objects[name if schema == "main" else f"{schema}.{name}"] = (kind, says)
    return objects


def migrate(connection: duckdb.DuckDBPyConnection, version: int, last: int | None = None) -> None:
    """Bring a store from schema `version` to `last`, by default to that of this code."""
    for number in range(version + 1, (last or schema_version()) + 1):
        connection.execute((SCHEMA / f"{number}.sql").read_text(encoding="utf-8"))
        connection.execute("UPDATE meta SET schema_version = ?", [number])


@cache
def _objects_of(version: int, schema: Path) -> dict[str, tuple[str, object]]:
    """What a store of this schema version holds, by the files in the folder `schema`."""
    with duckdb.connect(":memory:") as pattern:
        migrate(pattern, 0, version)
        return _objects(pattern)


def foreign_object(connection: duckdb.DuckDBPyConnection, version: int) -> str:
    """What is wrong with the tables and views of a file of this schema version: one of ours is
    missing or another, or there is one more; empty where nothing is.
    """
    wanted, present = _objects_of(version, SCHEMA), _objects(connection)
    for name in sorted({**wanted, **present}):
        if name not in present:
            return f"{name!r} is missing"
        if wanted.get(name) != present[name]:
            return f"{name!r} in it is a {present[name][0]} of its own"
    return ""
