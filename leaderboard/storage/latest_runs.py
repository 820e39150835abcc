"""What rankings start from, read once for each state of the store:
choosing other tasks then reads nothing.
"""

import json
from collections.abc import Collection
from typing import Any

import pandas as pd

from leaderboard.storage.store import Store

# Of each view on each part of a task, by the task's revision:
# the run that ranked deepest, and of those the last.
_STANDING = """
    SELECT * EXCLUDE standing, unnest(standing) FROM (
        SELECT model, model_revision AS revision, source, layer, dim, "precision", settings,
            "index", kind, task, type, split, subset, task_revision,
            max_by({{'run_id': id, 'score': {score}, 'metric': {metric}, 'created': created,
                     'mteb_version': environment->>'$.packages.mteb'}},
                   (coalesce(depth, 2147483647), created, id)) AS standing
        FROM results {join} WHERE {condition} GROUP BY ALL)
"""


def read_all(store: Store) -> None:
    """Read what does not depend on a metric at once: to open the store takes longer than to ask."""
    with store.database.opened():
        for read in (tasks, own_splits, costs, hardware, scored_by_query, model_details):
            read(store)


def tasks(store: Store) -> list[str]:
    """The tasks on which the store has runs, members of aggregates apart."""

    def read() -> list[str]:
        names: list[str] = store.query("SELECT DISTINCT task FROM runs ORDER BY task")[
            "task"
        ].to_pylist()
        return names

    return store.cached("tasks", read)


def runs(store: Store, metric: str, tasks: Collection[str]) -> pd.DataFrame:
    """The run that stands for every view on every part of these tasks and every revision of them;
    not to be changed.

    Of several the one that ranked the most documents stands, then the newest: a run with `--top-k
    20` never takes the place of a deeper one. Columns: those of `evaluated_views.VIEW`,
    kind, task, type, split, subset, task_revision, run_id, score, metric, created, mteb_version.
    """
    own = metric == "main"
    sql = _STANDING.format(
        score="main_score" if own else "value",
        metric="main_metric" if own else "metric",
        join="" if own else "JOIN scores ON run_id = id",
        condition="task IN (SELECT unnest(?))" + ("" if own else " AND metric = ?"),
    )

    def read() -> pd.DataFrame:
        chosen = [sorted(tasks)] if own else [sorted(tasks), metric]
        frame: pd.DataFrame = store.query(sql, chosen).to_pandas()
        return frame

    return store.cached(f"newest {metric}", read, of=tuple(sorted(tasks)))


def models_by_task(store: Store) -> dict[str, set[str]]:
    """The models that have results on each task, members of aggregates apart."""
    return _models_by_task(store, "models by task", "SELECT task, model FROM runs")


def grids_by_task(store: Store) -> dict[str, set[str]]:
    """The models that have several views on each task: layers, dimensions, precisions, indexes."""
    several = (
        "SELECT task, model FROM runs GROUP BY task, model, source, model_revision"
        ' HAVING count(DISTINCT (layer, dim, "precision", "index")) > 1'
    )
    return _models_by_task(store, "grids by task", several)


def _models_by_task(store: Store, kept: str, pairs: str) -> dict[str, set[str]]:
    """The models in a query's rows of task and model, by task; kept under a name."""

    def read() -> dict[str, set[str]]:
        rows = store.query(
            f"SELECT task, list(DISTINCT model) AS models FROM ({pairs}) GROUP BY task"
        )
        return {row["task"]: set(row["models"]) for row in rows.to_pylist()}

    return store.cached(kept, read)


def own_splits(store: Store) -> dict[str, set[str]]:
    """The splits that a task's score is made of, by task, as far as its runs tell."""

    def read() -> dict[str, set[str]]:
        rows = store.query(
            "SELECT DISTINCT name, details->'$.eval_splits' AS splits FROM tasks"
        ).to_pylist()
        by_task: dict[str, set[str]] = {}
        for row in rows:
            by_task.setdefault(row["name"], set()).update(json.loads(row["splits"] or "[]"))
        return {name: splits for name, splits in by_task.items() if splits}

    return store.cached("own splits", read)


def costs(store: Store) -> pd.DataFrame:
    """All measured costs: run_id, name, value."""

    def read() -> pd.DataFrame:
        frame: pd.DataFrame = store.query("SELECT run_id, name, value FROM costs").to_pandas()
        return frame

    return store.cached("costs", read)


def hardware(store: Store) -> pd.DataFrame:
    """The machine of each run that was computed here, indexed by run id: machine (its GPU where
    the model ran on one, else its processor), threads.
    """

    def read() -> pd.DataFrame:
        rows = store.query(_HARDWARE).to_pandas()
        frame: pd.DataFrame = rows.set_index("id")
        return frame

    return store.cached("hardware", read)


_HARDWARE = """
    SELECT id, CASE
        WHEN resolved->>'$.device' LIKE 'cuda%' AND environment->>'$.gpus[0]' IS NOT NULL
            THEN environment->>'$.gpus[0]'
        WHEN environment->>'$.cpu' IS NULL THEN ''
        ELSE (environment->>'$.cpu') || ', ' || (environment->>'$.cores') || ' cores'
        END AS machine, TRY_CAST(environment->>'$.threads' AS INTEGER) AS threads
    FROM runs WHERE source = ''
"""


def scored_by_query(store: Store) -> frozenset[str]:
    """The runs that have scores of queries, or of two examples and more."""
    sql = (
        "SELECT DISTINCT run_id FROM per_query UNION"
        " SELECT run_id FROM examples GROUP BY run_id HAVING max(len(data)) > 1"
    )
    return store.cached(
        "scored by query", lambda: frozenset(store.query(sql)["run_id"].to_pylist())
    )


def model_details(store: Store) -> dict[tuple[str, str], dict[str, Any]]:
    """What is known of each model, by name and revision;
    under the revision "several" that of any.
    """

    def read() -> dict[tuple[str, str], dict[str, Any]]:
        rows = store.query(
            "SELECT name, revision, details FROM models WHERE details <> '{}'"
        ).to_pylist()
        by_model = {(row["name"], row["revision"]): json.loads(row["details"]) for row in rows}
        return {(name, "several"): details for (name, _), details in by_model.items()} | by_model

    return store.cached("model details", read)
