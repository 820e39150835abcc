"""What rankings start from, read once for each state of the store: choosing other tasks then reads nothing."""

import json

import pandas as pd

# Of each view on each part of a task the run stored last.
_NEWEST = """
    SELECT * EXCLUDE newest, unnest(newest) FROM (
        SELECT model, model_revision AS revision, source, layer, dim, "precision", "index", kind, task, type, split,
            subset, max_by({{'run_id': id, 'score': {score}, 'metric': {metric}, 'task_revision': task_revision,
                            'mteb_version': environment->>'$.packages.mteb'}}, (created, id)) AS newest
        FROM results {join} GROUP BY ALL)
"""


def tasks(store) -> list[str]:
    """The tasks on which the store has runs."""
    return store.kept("tasks", lambda: store.query("SELECT DISTINCT task FROM runs ORDER BY task")["task"].to_pylist())


def runs(store, metric: str) -> pd.DataFrame:
    """The newest run of every view on every part of every task; not to be changed.

    Columns: those of `leaderboard.views.VIEW`, kind, task, type, split, subset, run_id, score, metric, task_revision,
    mteb_version.
    """
    own = metric == "main"
    sql = _NEWEST.format(
        score="main_score" if own else "value",
        metric="main_metric" if own else "metric",
        join="" if own else "JOIN scores ON run_id = id WHERE metric = ?",
    )
    return store.kept(f"newest {metric}", lambda: store.query(sql, [] if own else [metric]).to_pandas())


def costs(store) -> pd.DataFrame:
    """All measured costs: run_id, name, value."""
    return store.kept("costs", lambda: store.query("SELECT run_id, name, value FROM costs").to_pandas())


def scored_by_query(store) -> frozenset[str]:
    """The runs that have per-query scores."""
    return store.kept(
        "scored by query",
        lambda: frozenset(store.query("SELECT DISTINCT run_id FROM per_query")["run_id"].to_pylist()),
    )


def model_details(store) -> dict[tuple[str, str], dict]:
    """What is known of each model, by name and revision; under the revision "several" that of any."""

    def read() -> dict[tuple[str, str], dict]:
        rows = store.query("SELECT name, revision, details FROM models WHERE details <> '{}'").to_pylist()
        found = {(row["name"], row["revision"]): json.loads(row["details"]) for row in rows}
        return {(name, "several"): details for (name, _), details in found.items()} | found

    return store.kept("model details", read)
