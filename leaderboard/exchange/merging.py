"""Another store's runs into this one."""

import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

from leaderboard.errors import LeaderboardError
from leaderboard.records import Task, Texts
from leaderboard.storage.database import Database
from leaderboard.storage.statements import RUN_TABLES, insert_into
from leaderboard.storage.store import Store


class Merged(NamedTuple):
    """How many runs and failures were new, and how many runs were there already."""

    runs: int
    failures: int
    known: int


def merge(store: Store, path: Path) -> Merged:
    """Add what the store at `path` has and `store` lacks, by run id,
    with rankings and texts: all or nothing.

    Raises:
        LeaderboardError: no store at `path`, or one of the two cannot be used (see `Store`).
    """
    if not path.is_file():
        raise LeaderboardError(f"There is no file {path}.", "Type: embedlab merge OTHER.duckdb")
    if store.path.exists() and path.samefile(store.path):
        raise LeaderboardError(
            f"{path} is the store itself.", "Name another one with --db, or merge another file."
        )
    other = Store(path, store.database.timeout)
    with tempfile.TemporaryDirectory() as scratch, store.database.explained("written"):
        # DuckDB opens a file once in a process,
        # and a copy keeps the other store free for its own writers.
        copy = Path(scratch) / "other.duckdb"
        with other.database.reading():
            for file in (path, Path(f"{path}.wal")):
                if file.exists():
                    shutil.copyfile(file, copy.with_name(file.name.replace(path.name, copy.name)))
        with Database(copy, 0).writing():  # brings an older store's runs to what this one's are
            pass
        with Database(copy, 0).reading() as connection:
            rows = connection.execute("SELECT id, has_ranking FROM runs").fetchall()
            tasks = connection.execute(
                "SELECT name, type, split, subset, revision FROM tasks"
            ).fetchall()
        known = set(store.query("SELECT id FROM runs")["id"].to_pylist())
        ranked = [id for id, has_ranking in rows if has_ranking and id not in known]
        _check_files(other, ranked)
        rankings = {id: store.files.copy_ranking(id, other.files.ranking_path(id)) for id in ranked}
        try:
            return _insert(
                store,
                copy,
                rankings,
                [(task, other.texts(task)) for task in (Task(*row) for row in tasks)],
            )
        finally:
            for temporary in rankings.values():
                temporary.unlink(missing_ok=True)


def _check_files(other: Store, ranked: list[str]) -> None:
    """Refuse a store that was copied without its folder of files."""
    lacking = [id for id in ranked if not other.files.ranking_path(id).is_file()]
    if lacking:
        raise LeaderboardError(
            f"{other.path} lacks the rankings of {len(lacking)} of its runs, which lie in"
            f" {other.files.root}.",
            f"Copy the folder {other.files.root.name} to the place beside it as well.",
        )


def _insert(
    store: Store, copy: Path, rankings: dict[str, Path], texts: list[tuple[Task, Texts | None]]
) -> Merged:
    with store.database.writing(copy) as connection:
        connection.execute(
            f"ATTACH '{str(copy).replace(chr(39), chr(39) * 2)}' AS other (READ_ONLY)"
        )
        connection.execute(
            "CREATE TEMP TABLE fresh AS SELECT id FROM other.runs WHERE id NOT IN (SELECT id FROM"
            " runs)"
        )
        fresh = {id for (id,) in connection.execute("SELECT id FROM fresh").fetchall()}
        ((total,),) = connection.execute("SELECT count(*) FROM other.runs").fetchall()
        for task, content in texts:
            if content:
                store.files.add_texts(task, content)
        for id, temporary in rankings.items():
            if id in fresh:
                temporary.replace(store.files.ranking_path(id))
        for table in ("models", "tasks", "answers"):
            connection.execute(insert_into(table, f"SELECT * FROM other.{table}"))
        # Where they lay, and in what state, holds on the other's machine alone.
        connection.execute(
            "INSERT INTO imported BY NAME SELECT digest, path, created, runs, problem, reader"
            " FROM other.imported WHERE path NOT IN (SELECT path FROM imported)"
        )
        for table in RUN_TABLES:
            key = "id" if table == "runs" else "run_id"
            select = f"SELECT * FROM other.{table} WHERE {key} IN (SELECT id FROM fresh)"
            connection.execute(insert_into(table, select))
        unknown = "SELECT * FROM other.failures EXCEPT SELECT * FROM failures"
        ((failures,),) = connection.execute(f"INSERT INTO failures {unknown}").fetchall()
    return Merged(len(fresh), failures, total - len(fresh))
