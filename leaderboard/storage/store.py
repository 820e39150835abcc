"""The results store: what every evaluation writes and every table, statistic and page reads.

One DuckDB file, which the `duckdb` shell opens too, and a folder of Parquet files beside it. Any
number of processes may write and read at once.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from leaderboard.records import (
    Answer,
    Examples,
    Failure,
    PerQuery,
    Phase,
    Ranking,
    Run,
    Task,
    Texts,
)
from leaderboard.storage import example_rows, rows
from leaderboard.storage.database import Database
from leaderboard.storage.imported import ImportedFile, record
from leaderboard.storage.parquet_files import Files
from leaderboard.storage.read_once import ReadOnce
from leaderboard.storage.statements import (
    FILTERS,
    RUN_TABLES,
    condition_of,
    delete_runs,
    full_id,
    insert,
    stored_ids,
)

T = TypeVar("T")


class Store:
    """The results in the file `path` (made on the first write)
    and the folder `<stem>.files` beside it.

    Args:
        path: a DuckDB file.
        timeout: seconds to wait for another program that holds the file before giving up.

    Every method raises LeaderboardError when the file is held for longer, corrupt, of a newer
    schema, in a folder that cannot be written, or the disk is full; the store is then as it was.
    """

    def __init__(self, path: str | Path, timeout: float = 30.0):
        self.path = Path(path)
        self.database = Database(self.path, timeout)
        self.files = Files(self.path.with_suffix(".files"))
        self._cache = ReadOnce()

    # Writing

    def make(self) -> None:
        """Make the file, without results, where there is none yet."""
        with self.database.writing():
            pass

    def add(self, run: Run) -> str:
        """Store a run whole, or not at all;
        a run already stored is left as it is. Returns its id.
        """
        target = self.files.ranking_path(run.id)
        content = rows.tables([run])
        with self.database.explained("written"):
            unfinished = self.files.write_ranking(run.id, run.ranking) if run.ranking else None
            try:
                with self.database.writing() as connection:
                    if stored_ids(connection, [run.id]):
                        return run.id
                    if run.texts:
                        self.files.add_texts(run.task, run.texts)
                    if unfinished:
                        unfinished.replace(target)
                    insert(connection, content)
            finally:
                if unfinished:
                    unfinished.unlink(missing_ok=True)
        return run.id

    def add_scores(self, run_id: str, per_query: PerQuery) -> None:
        """Add measures, and their means, to a stored run; those that it has stay as they are."""
        content = rows.more_scores(run_id, per_query)
        with self.database.writing() as connection:
            run_id = full_id(connection, run_id)
            has = connection.execute("SELECT metric FROM scores WHERE run_id = ?", [run_id])
            known = pa.array([metric for (metric,) in has.fetchall()], pa.string())
            for name, table in content.items():
                there = pc.is_in(table["metric"].cast(pa.string()), known)
                insert(connection, {name: table.filter(pc.invert(there))})

    def add_failure(self, failure: Failure) -> None:
        """Record that a task could not be finished."""
        table = rows.failure_table(failure)
        with self.database.writing() as connection:
            insert(connection, {"failures": table})

    def add_answer(self, answer: Answer) -> None:
        """Record what came of a question; one already recorded is left as it is."""
        self.add_answers([answer])

    def add_answers(self, answers: Sequence[Answer]) -> None:
        """Record what came of several questions, all or none."""
        table = rows.answers_table(answers)
        with self.database.writing() as connection:
            insert(connection, {"answers": table})

    def remove_answers(self, pipeline: str, questions: Sequence[str]) -> None:
        """Forget what a RAG pipeline has answered to these questions."""
        with self.database.writing() as connection:
            connection.execute(
                "DELETE FROM answers WHERE pipeline = ? AND question IN (SELECT unnest(?))",
                [pipeline, list(questions)],
            )

    def add_tables(
        self, content: Mapping[str, pa.Table], imported: Sequence[ImportedFile] = ()
    ) -> None:
        """Store many runs at once (from `rows.tables`),
        each in place of a stored run with the same id.

        Args:
            content: rows by table name.
            imported: the files they came from; what these gave before and give no more goes.
        """
        with self.database.writing() as connection:
            record(connection, imported)
            delete_runs(connection, content["runs"]["id"].to_pylist())
            insert(connection, content)

    def remove(self, id: str) -> str:
        """Remove a run, named by its id or a unique beginning of it, and its ranking.
        Returns the whole id.
        """
        with self.database.writing() as connection:
            run_id = full_id(connection, id)
            # Its file may be imported anew.
            connection.execute(
                "DELETE FROM imported"
                " WHERE path IN (SELECT resolved->>'file' FROM runs WHERE id = ?)",
                [run_id],
            )
            # Its questions may be asked anew, unless another run shares the answers.
            connection.execute(
                "DELETE FROM answers WHERE pipeline IN ("
                "SELECT resolved->>'pipeline' FROM runs"
                " GROUP BY ALL HAVING count(*) FILTER (id = ?) = count(*))",
                [run_id],
            )
            delete_runs(connection, [run_id])
        self.files.ranking_path(run_id).unlink(missing_ok=True)
        return run_id

    def prune(self, max_age: float = 3600) -> list[Path]:
        """Delete the files that killed writers left without a row; returns them.

        Args:
            max_age: seconds after which a file that is still being written counts as abandoned.
        """
        with self.database.writing() as connection:
            # No other writer may be between its file and its row.
            ids = {
                id
                for (id,) in connection.execute("SELECT id FROM runs WHERE has_ranking").fetchall()
            }
            orphans = self.files.orphans(ids, time.time() - max_age)
            for path in orphans:
                path.unlink(missing_ok=True)
        return orphans

    # Reading

    def query(self, sql: str, parameters: Sequence[object] = ()) -> pa.Table:
        """The answer to a SELECT over the tables of schema/1.sql
        and the view `results`, from one consistent state.
        """
        with self.database.reading() as connection:
            return connection.sql(sql, params=list(parameters)).to_arrow_table()

    def runs(self, **where: object) -> pa.Table:
        """Runs, newest first: the columns of the view `results` without the JSON ones.

        Args:
            where: a column of `FILTERS` and the value, or list of values, that it must have.
        """
        condition, parameters = condition_of(where)
        return self.query(
            f"SELECT * EXCLUDE (asked, resolved, environment) FROM results WHERE {condition}"
            " ORDER BY created DESC, id",
            parameters,
        )

    def scores(self, metric: str = "main", **where: object) -> pa.Table:
        """One score of each run: run_id, the columns of `FILTERS` without id,
        main_metric, created, metric, value.

        Args:
            metric: a metric's name, as ndcg_at_10, or "main" for each task's main score.
            where: as in `runs`.
        """
        condition, parameters = condition_of(where)
        columns = ", ".join(f'r."{name}"' for name in FILTERS[1:])
        select = f"SELECT r.id AS run_id, {columns}, r.main_metric, r.created"
        if metric == "main":
            return self.query(
                f"{select}, r.main_metric AS metric, r.main_score AS value FROM results r"
                f" WHERE {condition}",
                parameters,
            )
        return self.query(
            f"{select}, s.metric, s.value FROM results r JOIN scores s ON s.run_id = r.id"
            f" WHERE s.metric = ? AND {condition}",
            [metric, *parameters],
        )

    def per_query(self, run_ids: Sequence[str], metric: str) -> pa.Table:
        """Scores of each query: run_id, query_id, value."""
        return self.query(
            "SELECT run_id, query_id, value FROM per_query"
            " WHERE metric = ? AND run_id IN (SELECT unnest(?))",
            [metric, list(run_ids)],
        )

    def examples(self, run_ids: Sequence[str]) -> dict[str, Examples]:
        """What the scores of those runs that rank nothing were computed from, by run."""
        return example_rows.records(
            self.query("SELECT * FROM examples WHERE run_id IN (SELECT unnest(?))", [list(run_ids)])
        )

    def tables(self, **where: object) -> dict[str, pa.Table]:
        """Every table of the runs that `where` chooses
        (as in `runs`), all from one consistent state.
        """
        condition, parameters = condition_of(where)
        chosen = f"(SELECT id FROM results WHERE {condition})"
        parts = {
            "runs": f"id IN {chosen}",
            "models": (
                "(name, revision) IN"
                f" (SELECT (model, model_revision) FROM runs WHERE id IN {chosen})"
            ),
            "tasks": (
                "(name, revision, split, subset) IN"
                f" (SELECT (task, task_revision, split, subset) FROM runs WHERE id IN {chosen})"
            ),
        } | dict.fromkeys(RUN_TABLES[1:], f"run_id IN {chosen}")
        with self.database.reading() as connection:
            return {
                name: (
                    connection.sql(
                        f"SELECT * FROM {name} WHERE {part}", params=parameters
                    ).to_arrow_table()
                )
                for name, part in parts.items()
            }

    def run(self, id: str) -> Run:
        """Everything about a run, named by its id or a unique beginning of it,
        but its ranking and texts.

        Raises:
            LeaderboardError: no run, or more than one, has this id.
        """
        with self.database.reading() as connection:
            run_id = full_id(connection, id)

            def fetch(sql: str) -> pa.Table:
                return connection.sql(sql, params=[run_id]).to_arrow_table()

            (row,) = fetch(
                "SELECT r.*, m.details AS model_details, t.details AS task_details FROM results r"
                " JOIN models m ON m.name = r.model AND m.revision = r.model_revision"
                " JOIN tasks t ON t.name = r.task AND t.revision = r.task_revision"
                " AND t.split = r.split AND t.subset = r.subset"
                " WHERE r.id = ?"
            ).to_pylist()
            scores = fetch(
                "SELECT metric, value FROM scores WHERE run_id = ? ORDER BY rowid"
            ).to_pydict()
            costs = fetch(
                "SELECT name, value FROM costs WHERE run_id = ? ORDER BY rowid"
            ).to_pydict()
            phases = fetch(
                "SELECT name, seconds FROM phases WHERE run_id = ? ORDER BY position"
            ).to_pylist()
            per_query = fetch(
                "SELECT query_id, metric, value FROM per_query WHERE run_id = ? ORDER BY rowid"
            )
            examples = fetch("SELECT * FROM examples WHERE run_id = ?")
        return rows.run_record(
            row,
            dict(zip(*scores.values(), strict=True)),
            dict(zip(*costs.values(), strict=True)),
            [Phase(**phase) for phase in phases],
            rows.per_query_record(per_query),
            example_rows.records(examples).get(run_id),
        )

    def ranking(self, run_id: str, query_ids: list[str] | None = None) -> Ranking | None:
        """A run's ranking, or that of some of its queries; None where the run has none."""
        with self.database.explained("read"):
            if not self.files.ranking_path(run_id).is_file():
                return None
            return self.files.read_ranking(run_id, query_ids)

    def texts(self, task: Task) -> Texts | None:
        """Queries, relevance judgements and shown documents of a task;
        None where none were kept.
        """
        with self.database.explained("read"):
            return self.files.read_texts(task)

    def answers(self, pipeline: str) -> dict[str, Answer]:
        """What a RAG pipeline has answered so far, by the question's text."""
        table = self.query("SELECT * FROM answers WHERE pipeline = ?", [pipeline])
        return {row["question"]: rows.answer_record(row) for row in table.to_pylist()}

    def failures(self) -> pa.Table:
        """Failures, newest first: model, task, problem, hint, asked (JSON), created."""
        return self.query("SELECT * FROM failures ORDER BY created DESC")

    def cached(self, name: str, read: Callable[[], T], of: object = None) -> T:
        """What `read` answers, remembered until the store changes (`ReadOnce.get`)."""
        return self._cache.get(name, self.stamp(), read, of)

    def stamp(self) -> tuple[int, int]:
        """A value that changes with every write and costs no connection:
        what a cache of readings depends on.
        """
        try:
            state = self.path.stat()
        except FileNotFoundError:
            return 0, 0
        return state.st_mtime_ns, state.st_size
