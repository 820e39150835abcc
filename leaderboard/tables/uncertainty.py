"""How sure a ranking is: intervals, rank intervals and groups of its views."""

import numpy as np
import pandas as pd

from leaderboard.errors import LeaderboardError
from leaderboard.saying import Say, silent
from leaderboard.statistics.intervals import interval, nested_means, rank_interval, resampled_means
from leaderboard.storage.store import Store
from leaderboard.tables.alignment import has_per_query, per_query
from leaderboard.tables.evaluated_views import Views
from leaderboard.tables.separation import separation

# Fewer tasks than this say little about tasks of their kind.
_FEWEST_TASKS = 6
# 25 replicates lie beyond either end of a 95 % interval,
# so that an end is known to about 5 % of the interval's width.
_RESAMPLES = 1_000
_NO_QUERIES = (
    "No intervals: without scores of single queries or examples on every task they need"
    f" {_FEWEST_TASKS} tasks, or tasks resampled and two."
)
_READING = 0.7  # share of the time
_NESTED = ("nested_low", "nested_high")
_COLUMNS = (
    "low", "high", "best_place", "worst_place", "group", "tier", "like_best", "p_values",
)  # fmt: skip


def uncertainty(
    store: Store,
    views: Views,
    over: str,
    level: float,
    correction: str,
    matrix: bool = False,
    say: Say = silent,
) -> tuple[pd.DataFrame, str, str]:
    """Intervals and groups by view, what they resample, and why there are none."""
    nothing = pd.DataFrame(columns=[*_NESTED, *_COLUMNS])
    if over == "none":
        return nothing, "", ""
    queries_known = has_per_query(store, views)
    if over == "auto":
        over = (
            "tasks"
            if not queries_known.all() and len(views.scores.columns) >= _FEWEST_TASKS
            else "queries"
        )
    if over != "tasks":
        views = views.only([view for view in views.table.index if queries_known[view]])
    if views.table.empty:
        return nothing, "", _NO_QUERIES
    by_task = [views.scores.to_numpy()]
    try:
        strata = (
            [[scores[:, None]] for scores in by_task[0].T]
            if over == "tasks"
            else _by_query(store, views, lambda doing, share: say(doing, share * _READING))
        )
    except LeaderboardError as error:
        return nothing, "", f"No intervals: {error}"
    tested = strata if over == "queries" else [by_task]
    if not all(strata) or min(scores.shape[1] for parts in tested for scores in parts) < 2:
        return (
            nothing,
            "",
            (
                _NO_QUERIES
                if over == "queries"
                else "No intervals over tasks: they need two tasks or more."
            ),
        )
    nested = {}
    if over == "queries" and len(strata) >= _FEWEST_TASKS:
        replicates, both = nested_means(
            strata,
            resamples=_RESAMPLES,
            say=lambda doing, share: say(doing, _READING + share * (1 - _READING)),
        )
        nested = dict(zip(_NESTED, interval(both, level), strict=True))
    else:
        replicates = resampled_means(strata, over=over, resamples=_RESAMPLES)
    low, high = interval(replicates, level)
    best, worst = rank_interval(replicates, level)
    apart = separation(tested, views.table["label"].tolist(), 1 - level, correction, matrix)
    columns = dict(zip(_COLUMNS, (low, high, best, worst, *apart.values()), strict=True))
    columns = dict.fromkeys(_NESTED) | nested | columns
    return pd.DataFrame(columns, index=views.table.index), over, ""


def _by_query(store: Store, views: Views, say: Say) -> list[list[np.ndarray]]:
    return [
        list(parts.values())
        for parts in per_query(store, views, views.scores.columns.tolist(), say).values()
    ]
