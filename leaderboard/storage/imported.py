"""Which files were imported, and what they were like then: the table `imported`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import duckdb
import pyarrow as pa

from leaderboard.storage.statements import delete_runs, insert

_TEXT = pa.string()
_SCHEMA = pa.schema(
    dict.fromkeys(("digest", "path", "file", "state"), _TEXT)
    | {"runs": pa.int32(), "problem": _TEXT, "reader": _TEXT, "created": pa.timestamp("us")}
)


class ImportedFile(NamedTuple):
    """A file as it was imported.

    digest: SHA-256 of the path's last three parts and the content. path: these parts. file: the
    whole path. state: size and times of change. runs: how many it gave. problem: what could not be
    read of it; None where all could. reader: versions of what read it.
    """

    digest: str
    path: str
    file: str
    state: str
    runs: int
    problem: str | None = None
    reader: str = ""


def record(connection: duckdb.DuckDBPyConnection, files: Sequence[ImportedFile]) -> None:
    """Record these files, and forget the runs of what they were before.

    Call it before their runs are added. A file of which nothing can be read any more leaves the
    runs that it gave before.
    """
    again = (
        "SELECT digest FROM imported WHERE path IN (SELECT unnest(?))"
        " AND digest NOT IN (SELECT unnest(?))"
    )
    read = {file.path: file.digest for file in files if file.runs}
    older = connection.execute(again, [[*read], [*read.values()]]).fetchall()
    if older:
        of_older = "SELECT path FROM imported WHERE digest IN (SELECT unnest(?))"
        digests = [digest for (digest,) in older]
        runs = connection.execute(
            f"SELECT id FROM runs WHERE source <> '' AND resolved->>'file' IN ({of_older})",
            [digests],
        ).fetchall()
        delete_runs(connection, [id for (id,) in runs])
        connection.execute("DELETE FROM imported WHERE digest IN (SELECT unnest(?))", [digests])
    now = datetime.now(UTC).replace(tzinfo=None)
    rows = list({file.digest: (*file, now) for file in files}.values())
    columns = [
        pa.array(values, field.type)
        for values, field in zip(zip(*rows, strict=True), _SCHEMA, strict=False)
    ]
    if rows:
        insert(connection, {"imported": pa.table(columns, _SCHEMA)})
