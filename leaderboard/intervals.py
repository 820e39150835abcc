"""Confidence intervals for scores, differences and ranks, by resampling queries, tasks, or both."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from leaderboard.resampling import resampled_counts
from leaderboard.statistics import choose

# What is drawn anew: "queries" asks about other queries of these tasks, "tasks" about other tasks of this kind.
OVER = {"queries": (True, False), "tasks": (False, True), "both": (True, True)}


class Interval(NamedTuple):
    """Lower and upper bound, arrays of one shape."""

    low: np.ndarray
    high: np.ndarray


def resampled_means(
    tasks: Sequence[Sequence[np.ndarray]], *, over: str = "queries", resamples: int = 2_000, seed: int = 0
) -> np.ndarray:
    """Bootstrap replicates of every model's mean over tasks, float64 `[resamples, models]`.

    All models see the same draws, so differences and ranks of the columns are paired.

    Args:
        tasks: for each task its parts (subsets of a split), each float64 `[models, queries]`; the score of a task is
            the mean over its parts. To resample tasks alone, one column with the task's score is enough.
        over: "queries", "tasks" or "both"; with "both", tasks are drawn and within them queries.
        resamples: number of replicates.
        seed: of the random draws; the same seed gives the same intervals.
    """
    draw_queries, draw_tasks = choose("resampling", over, OVER)
    rng = np.random.default_rng(seed)
    total = np.zeros((resamples, len(tasks[0][0])))
    if draw_tasks:
        weights = np.concatenate(list(resampled_counts(len(tasks), resamples, rng))) / len(tasks)
    else:
        weights = np.full((resamples, len(tasks)), 1 / len(tasks))
    for task, parts in enumerate(tasks):
        for scores in parts:
            means = _resampled_queries(scores, resamples, rng) if draw_queries else scores.mean(axis=1)
            total += weights[:, [task]] / len(parts) * means
    return total


def interval(replicates: np.ndarray, level: float = 0.95) -> Interval:
    """The percentile interval (Efron and Tibshirani 1993, section 13.3) along the first axis."""
    return Interval(*np.quantile(replicates, [(1 - level) / 2, (1 + level) / 2], axis=0))


def rank_interval(replicates: np.ndarray, level: float = 0.95) -> Interval:
    """Bounds of every model's rank (1 = best, equal scores share the better rank) from `[resamples, models]`.

    Ranks are whole numbers: the bounds are widened to the next one.
    """
    ranks = stats.rankdata(-replicates, axis=1, method="min")
    tails = [(1 - level) / 2, (1 + level) / 2]
    low = np.quantile(ranks, tails[0], axis=0, method="lower")
    high = np.quantile(ranks, tails[1], axis=0, method="higher")
    return Interval(low.astype(int), high.astype(int))


def _resampled_queries(scores: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    queries = scores.shape[1]
    blocks = resampled_counts(queries, resamples, rng, columns=len(scores))
    return np.concatenate([counts @ scores.T for counts in blocks]) / queries
