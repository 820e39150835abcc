"""A pair over several tasks at once: the mean difference, its interval, whether it is chance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from leaderboard.statistics.groups import pairwise_p_values
from leaderboard.statistics.intervals import interval, resampled_means
from leaderboard.statistics.significance import TESTS
from leaderboard.tables.sides import Side

FEWEST_TASKS = 6  # with fewer, no test over tasks could reach 0.05: the exact one has 2 ** n signs


@dataclass(frozen=True)
class Overall:
    """First less second in the mean over tasks.
    What follows `difference` is None where nothing can be tested.

    over: "queries" (interval: bootstrap within each task; p: t-test with the tasks' parts as
    strata), "tasks" (where per-query scores are lacking and there are six tasks or more: bootstrap
    and the comparison's own test), or empty.
    """

    first: str
    second: str
    tasks: int
    first_score: float
    second_score: float
    difference: float
    over: str = ""
    low: float | None = None
    high: float | None = None
    p: float | None = None
    corrected_p: float | None = None  # for all pairs of the comparison


def overall(
    pairs: Sequence[tuple[Side, Side]],
    scores: np.ndarray,
    scored: Sequence[tuple[int, Mapping[tuple[str, str], np.ndarray]]],
    *,
    test: str,
    level: float,
) -> list[Overall]:
    """Every pair over all tasks, not corrected yet; nothing where there is one task alone.

    Args:
        pairs: the sides.
        scores: of each view on each task, float64 `[views, tasks]`.
        scored: of each task, of how many parts it is made, and the per-query scores `[views,
            queries]` of those that have them.
        test, level: as in `leaderboard.tables.comparison.compare`.
    """
    if scores.shape[1] < 2:
        return []
    by_query = all(
        len(parts) == count and all(each.shape[1] > 1 for each in parts.values())
        for count, parts in scored
    )
    strata = [list(parts.values()) for _, parts in scored] if by_query else []
    return [_of(first, second, scores, strata, test, level) for first, second in pairs]


def _of(
    first: Side,
    second: Side,
    scores: np.ndarray,
    strata: Sequence[Sequence[np.ndarray]],
    test: str,
    level: float,
) -> Overall:
    a, b = first.mean(scores), second.mean(scores)
    plain = Overall(
        first.label, second.label, len(a), float(a.mean()), float(b.mean()), float((a - b).mean())
    )
    if strata:
        sides = [
            [np.stack([first.mean(part), second.mean(part)]) for part in parts] for parts in strata
        ]
        differences = [[(part[0] - part[1])[None] for part in parts] for parts in sides]
        low, high = interval(resampled_means(differences, resamples=10_000), level)
        p = pairwise_p_values(sides, "none")[0, 1]
        return replace(plain, over="queries", low=float(low[0]), high=float(high[0]), p=float(p))
    if len(a) < FEWEST_TASKS:
        return plain
    columns = [[each[None, None]] for each in a - b]
    low, high = interval(resampled_means(columns, over="tasks", resamples=10_000), level)
    p = TESTS[test](a - b)
    return replace(plain, over="tasks", low=float(low[0]), high=float(high[0]), p=float(p))
