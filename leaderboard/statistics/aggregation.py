"""Orders of models: means over tasks and task types,
Borda count, zero-shot share, and the Pareto front.

Score frames have one row per model, one column per task, and NaN where a model lacks the task.
"""

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike


def mean_over_tasks(scores: pd.DataFrame) -> pd.Series:
    """The mean over all columns; NaN for a model that lacks any,
    since means over different tasks do not compare.
    """
    return scores.mean(axis=1, skipna=False)


def mean_over_types(scores: pd.DataFrame, types: Mapping[str, str]) -> pd.Series:
    """The mean over task types of the mean over the tasks of each;
    NaN for a model that lacks any task.

    Args:
        scores: models by tasks.
        types: the type of every task, as Retrieval or STS.
    """
    tasks_of: dict[str, list[str]] = {}
    for task in scores.columns.intersection(list(types)):
        tasks_of.setdefault(types[task], []).append(task)
    of_types = {kind: mean_over_tasks(scores[tasks_of[kind]]) for kind in sorted(tasks_of)}
    return pd.DataFrame(of_types).mean(axis=1, skipna=False)


def borda(scores: pd.DataFrame) -> pd.Series:
    """Ranks by Borda count (1 = best, equal counts share the better rank),
    exactly as mteb's leaderboard.

    On every task a model earns the number of models less its rank there (ties: the average rank),
    and nothing on a task that it lacks. A model that lacks all tasks takes no part and has no rank
    (Colombo et al., NeurIPS 2022; Enevoldsen et al., arXiv:2502.13595, section 3).
    """
    present = scores.dropna(how="all")
    counts = (len(present) - present.rank(ascending=False, method="average")).sum(axis=1)
    return counts.rank(ascending=False, method="min").reindex(scores.index).astype("Int64")


def zero_shot(trained_on: Collection[str] | None, tasks: Collection[str]) -> int | None:
    """Percent of `tasks` that a model was not trained on, rounded down as mteb does;
    None where nobody has said. A task in another version, `SciFact@...`, is of the same data.
    """
    if trained_on is None or not tasks:
        return None
    seen = [task for task in tasks if {task, task.partition("@")[0]} & set(trained_on)]
    return int(100 - 100 * len(seen) / len(tasks))


def pareto(scores: ArrayLike, costs: ArrayLike, *, lower_is_better: bool = True) -> np.ndarray:
    """Which models no other beats: none has a higher score at no higher cost,
    or the same score at a lower cost.

    Args:
        scores: `[models]`, higher is better.
        costs: `[models]`, a measured cost, or a speed with `lower_is_better=False`.
        lower_is_better: the direction of `costs`.

    Returns:
        bool `[models]`; False where the score or the cost is unknown (NaN).
    """
    scores = np.asarray(scores, dtype=np.float64)
    costs = np.asarray(costs, dtype=np.float64) * (1 if lower_is_better else -1)
    known = ~np.isnan(scores) & ~np.isnan(costs)
    as_good = (scores[None, :] >= scores[:, None]) & (costs[None, :] <= costs[:, None])
    better = (scores[None, :] > scores[:, None]) | (costs[None, :] < costs[:, None])
    best: np.ndarray = known & ~(as_good & better).any(axis=1)
    return best
