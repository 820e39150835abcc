"""RAG pipelines beside each other: those that were asked the same questions, how they compare, and
what became of each question.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from leaderboard.records import Answer, Task
from leaderboard.storage.rows import answer_record
from leaderboard.storage.store import Store
from leaderboard.tables.comparison import Comparison, compare_scores

# The newest run of each pipeline on each set of questions.
_RUNS = """
    SELECT max_by(id, (created, id)) AS run_id, max_by(model, (created, id)) AS name,
        model_revision AS pipeline, task, type, split, subset, task_revision,
        any_value(main_metric) AS main_metric
    FROM results WHERE kind = 'rag'
    GROUP BY model_revision, task, type, split, subset, task_revision
    ORDER BY max(created) DESC, run_id
"""


@dataclass(frozen=True)
class Experiment:
    """The pipelines that were asked one set of questions, the newest first.

    runs: run ids by the name to show; pipelines: the digests under which answers are kept
    (`Answer.pipeline`), by the same.
    """

    task: Task
    runs: dict[str, str]
    pipelines: dict[str, str]


def experiments(store: Store) -> dict[str, Experiment]:
    """Every set of questions with its pipelines, by the name to show; the newest first."""
    by_set: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in store.query(_RUNS).to_pylist():
        key = tuple(row[name] for name in ("task", "task_revision", "split", "subset"))
        by_set.setdefault(key, []).append(row)
    found = {}
    for (name, revision, split, subset), rows in by_set.items():
        first = rows[0]
        task = Task(name, first["type"], split, subset, revision, first["main_metric"])
        names = [row["name"] for row in rows]
        labels = [
            row["name"] + f"@revision={row['pipeline'][:8]}" * (names.count(row["name"]) > 1)
            for row in rows
        ]
        shown = ", ".join(filter(None, (name, f"revision {revision[:8]}" if revision else "")))
        found[shown] = Experiment(
            task,
            {label: row["run_id"] for label, row in zip(labels, rows, strict=True)},
            {label: row["pipeline"] for label, row in zip(labels, rows, strict=True)},
        )
    return found


def measured(store: Store, experiment: Experiment) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores and costs of every pipeline: floats, a row for each label and a column for each name;
    NaN where a run lacks one.
    """
    ids = list(experiment.runs.values())

    def table(name: str, column: str) -> pd.DataFrame:
        rows = store.query(
            f"SELECT run_id, {column} AS name, value FROM {name}"
            " WHERE run_id IN (SELECT unnest(?)) ORDER BY rowid",
            [ids],
        ).to_pandas()
        wide = rows.pivot(index="run_id", columns="name", values="value").reindex(ids)
        wide.index = pd.Index(list(experiment.runs))
        stored: pd.DataFrame = wide[list(dict.fromkeys(rows["name"]))]
        return stored

    return table("scores", "metric"), table("costs", "name")


def by_question(store: Store, experiment: Experiment) -> dict[str, pd.DataFrame]:
    """Scores of each question by metric: a row for each question and a column for each label; NaN
    where a question has no score of this kind.
    """
    ids = list(experiment.runs.values())
    rows = store.query(
        "SELECT run_id, query_id, metric, value FROM per_query"
        " WHERE run_id IN (SELECT unnest(?)) ORDER BY rowid",
        [ids],
    ).to_pandas()
    found = {}
    for metric, of_metric in rows.groupby("metric", sort=False):
        wide = of_metric.pivot(index="query_id", columns="run_id", values="value")
        wide = wide.reindex(index=list(dict.fromkeys(of_metric["query_id"])), columns=ids)
        wide.columns = pd.Index(list(experiment.runs))
        found[str(metric)] = wide
    return found


def compared(
    experiment: Experiment, scores: pd.DataFrame, labels: tuple[str, str], metric: str
) -> Comparison:
    """Two pipelines in a paired test over the questions that both have a score of.

    Args:
        scores: those of the metric, of `by_question`.
    """
    each = {label: np.asarray(scores[label], dtype=np.float64) for label in labels}
    return compare_scores(experiment.task.name, metric, each)


def answers(store: Store, experiment: Experiment, question: str) -> dict[str, Answer]:
    """What came of a question (its text), by the pipeline's label; answers that were cut off are
    not kept.
    """
    rows = store.query(
        "SELECT * FROM answers WHERE question = ? AND pipeline IN (SELECT unnest(?))",
        [question, list(experiment.pipelines.values())],
    )
    kept = {row["pipeline"]: answer_record(row) for row in rows.to_pylist()}
    return {label: kept[one] for label, one in experiment.pipelines.items() if one in kept}
