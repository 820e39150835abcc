"""Scores of single queries, or examples, of several runs side by side, aligned by id."""

from collections.abc import Collection, Mapping
from typing import cast

import numpy as np
import pandas as pd

from leaderboard.errors import LeaderboardError
from leaderboard.saying import Say, silent
from leaderboard.storage import latest_runs
from leaderboard.storage.revisions import mixed
from leaderboard.storage.store import Store
from leaderboard.tables import single_scores
from leaderboard.tables.evaluated_views import Views
from leaderboard.tables.example_scores import Single


def align(runs: Mapping[str, pd.Series], task: str) -> tuple[list[str], np.ndarray]:
    """Query ids and the scores of every run on them, float64 `[runs, queries]`.

    Args:
        runs: by the name to show, the run's scores, indexed by query id.
        task: the task's name, for the error.

    Raises:
        LeaderboardError: the runs were scored on different queries (says on which), or a query was
            scored twice.
    """
    first, reference = next(iter(runs.items()))
    for name, scores in runs.items():
        if scores.index.has_duplicates:
            query = scores.index[scores.index.duplicated()][0]
            raise LeaderboardError(
                f"{name} has two scores for query {query!r} of {task}.",
                "Remove and repeat the run.",
            )
        lacks, adds = (
            reference.index.difference(scores.index),
            scores.index.difference(reference.index),
        )
        if len(lacks) or len(adds):
            raise LeaderboardError(
                f"{first} and {name} were scored on different queries of {task}: "
                + "; ".join(
                    _only(owner, ids) for owner, ids in ((first, lacks), (name, adds)) if len(ids)
                )
                + ".",
                "Evaluate both on the same revision and split: embedlab eval --model MODEL --task"
                " TASK",
            )
    ids = reference.index
    return list(ids), np.stack(
        [scores.reindex(ids).to_numpy(np.float64) for scores in runs.values()]
    )


def has_per_query(store: Store, views: Views) -> pd.Series:
    """Whether every run of a view was scored query by query, or example by example: bool, by
    view.
    """
    return _scored_singly(store, views.runs).groupby(views.runs["view"]).all()


def _scored_singly(store: Store, runs: pd.DataFrame) -> pd.Series:
    """Whether each run was; thrice as quick as pandas' `isin` of so many."""
    known = latest_runs.scored_by_query(store)
    return pd.Series([id in known for id in runs["run_id"]], index=runs.index, dtype=bool)


def per_query(
    store: Store, views: Views, tasks: Collection[str], say: Say = silent
) -> dict[str, dict[tuple[str, str], np.ndarray]]:
    """By task, then by part (split, subset): scores, float64 `[views, queries]`; without the parts
    that a view lacks. On tasks that rank nothing, the values of single examples
    (`leaderboard.statistics.example_values`) stand for the scores of queries.

    Raises:
        LeaderboardError: the views were scored on different queries or revisions of a task, or by
            different metrics.
    """
    runs = views.runs[views.runs["task"].isin(tasks)]
    metrics = runs.groupby("task")["metric"].unique()
    for task in tasks:
        if len(metrics[task]) > 1:
            raise LeaderboardError(
                f"The main metric of {task} differs: {', '.join(sorted(metrics[task]))}.",
                "Name one that all have, e.g. --metric nDCG@10.",
            )
    scored = runs[_scored_singly(store, runs)]
    if other := mixed(scored):
        # Equal ids of queries would hide that they searched different documents.
        raise LeaderboardError(
            f"The models were scored on different revisions of {', '.join(other)}.",
            "Evaluate them on the same data: embedlab eval --model MODEL --task TASK; "
            "`embedlab runs list` shows what there is.",
        )
    by_run = single_scores.of_runs(store, scored, lambda doing, share: say(doing, 0.9 * share))
    labels = views.table["label"].tolist()
    scores: dict[str, dict[tuple[str, str], np.ndarray]] = {task: {} for task in tasks}
    say("Putting them side by side", 0.9)
    for key, of_part in scored.groupby(["task", "split", "subset"]):
        task, split, subset = cast("tuple[str, str, str]", key)
        runs_here = zip(of_part["run_id"], of_part["metric"], strict=True)
        run_of = dict(zip(of_part["view"], runs_here, strict=True))
        found = [by_run.get(run_of.get(view, ("", ""))) for view in views.table.index]
        known = [single for single in found if single is not None]
        if len(known) == len(found):
            scores[task][split, subset] = _stacked(labels, known, task)
    return scores


def _stacked(labels: list[str], found: list[Single], task: str) -> np.ndarray:
    """The scores of every view, side by side."""
    if len({single.data for single in found} - {None}) > 1:
        raise LeaderboardError(
            f"The models were scored on different examples of {task}.",
            "Evaluate them on the same data: embedlab eval --model MODEL --task TASK",
        )
    if len({single.key for single in found}) == 1 and len(set(found[0].ids)) == len(found[0].ids):
        return np.stack([single.values for single in found])
    series = [pd.Series(single.values, single.ids) for single in found]
    return align(dict(zip(labels, series, strict=True)), task)[1]


def _only(owner: str, ids: pd.Index) -> str:
    return (
        f"{len(ids)} only in"
        f" {owner} ({', '.join(map(str, ids[:3]))}{', ...' if len(ids) > 3 else ''})"
    )
