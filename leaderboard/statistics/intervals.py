"""Confidence intervals for scores, differences and ranks, by resampling queries, tasks, or both."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from leaderboard.saying import Say, silent
from leaderboard.statistics.resampling import resampled_counts
from leaderboard.statistics.significance import choose

# What is drawn anew: "queries" asks about other queries of these tasks,
# "tasks" about other tasks of this kind.
OVER = {"queries": (True, False), "tasks": (False, True), "both": (True, True)}

# Decimals to which the mean of the same scores, summed in another order, is the same.
_SUMS_AGREE = 12


class Interval(NamedTuple):
    """Lower and upper bound, arrays of one shape."""

    low: np.ndarray
    high: np.ndarray


def resampled_means(
    tasks: Sequence[Sequence[np.ndarray]],
    *,
    over: str = "queries",
    resamples: int = 2_000,
    seed: int = 0,
) -> np.ndarray:
    """Bootstrap replicates of every model's mean over tasks, float64 `[resamples, models]`.

    All models see the same draws, so differences and ranks of the columns are paired.

    Args:
        tasks: for each task its parts (subsets of a split), each float64 `[models, queries]`; the
            score of a task is the mean over its parts. To resample tasks alone, one column with the
            task's score is enough.
        over: "queries", "tasks" or "both"; with "both", tasks are drawn and within them queries.
        resamples: number of replicates.
        seed: of the random draws; the same seed gives the same intervals.
    """
    draw_queries, draw_tasks = choose("resampling", over, OVER)
    if draw_queries:
        within, both = nested_means(tasks, resamples=resamples, seed=seed)
        return both if draw_tasks else within
    means: np.ndarray = _task_weights(len(tasks), resamples, seed) @ [
        np.mean([scores.mean(axis=1) for scores in parts], axis=0) for parts in tasks
    ]
    return means


def nested_means(
    tasks: Sequence[Sequence[np.ndarray]],
    *,
    resamples: int = 2_000,
    seed: int = 0,
    say: Say = silent,
) -> tuple[np.ndarray, np.ndarray]:
    """`resampled_means` over queries, and over tasks and within them queries (the hierarchical
    bootstrap), from the same draws of queries.
    """
    rng = np.random.default_rng(seed)
    weights = _task_weights(len(tasks), resamples, seed)
    within, both = np.zeros((2, resamples, len(tasks[0][0])))
    for task, parts in enumerate(tasks):
        say(f"Resampling task {task + 1} of {len(tasks)}", task / len(tasks))
        for scores in parts:
            means = _resampled_queries(scores, resamples, rng) / len(parts)
            within += means / len(tasks)
            both += weights[:, [task]] * means
    return within, both


def _task_weights(tasks: int, resamples: int, seed: int) -> np.ndarray:
    """The share of each task in the mean of each replicate, `[resamples, tasks]`."""
    rng = np.random.default_rng([seed, 1])  # apart from the draws of queries
    return np.concatenate(list(resampled_counts(tasks, resamples, rng))) / tasks


def interval(replicates: np.ndarray, level: float = 0.95) -> Interval:
    """The percentile interval (Efron and Tibshirani 1993, section 13.3) along the first axis."""
    return Interval(*np.quantile(replicates, [(1 - level) / 2, (1 + level) / 2], axis=0))


def rank_interval(replicates: np.ndarray, level: float = 0.95) -> Interval:
    """Bounds of every model's rank
    (1 = best, equal scores share the better rank) from `[resamples, models]`.

    Ranks are whole numbers: the bounds are widened to the next one.
    """
    ranks = np.ascontiguousarray(_ranks(-replicates.round(_SUMS_AGREE)).T)
    tails = [(1 - level) / 2, (1 + level) / 2]
    low = np.quantile(ranks, tails[0], axis=1, method="lower")
    high = np.quantile(ranks, tails[1], axis=1, method="higher")
    return Interval(low.astype(int), high.astype(int))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks along the last axis, 1 = lowest, equal values share the lower;
    scipy's `rankdata` takes thrice as long.
    """
    order = np.argsort(values, axis=1)
    ordered = np.take_along_axis(values, order, axis=1)
    rises = np.diff(ordered, axis=1, prepend=-np.inf) > 0
    ranks = np.empty(values.shape, np.int32)
    places = np.arange(1, values.shape[1] + 1, dtype=np.int32)
    np.put_along_axis(
        ranks, order, np.maximum.accumulate(np.where(rises, places, 0), axis=1), axis=1
    )
    return ranks


def _resampled_queries(scores: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    queries = scores.shape[1]
    blocks = resampled_counts(queries, resamples, rng, columns=len(scores))
    means: np.ndarray = np.concatenate([counts @ scores.T for counts in blocks]) / queries
    return means
