"""Measured costs of several runs as those of one row of a leaderboard."""

import numpy as np
import pandas as pd

_SUMMED = ("_seconds", "_texts", "index_bytes")
_GREATEST = ("peak_", "parameters")


def lower_is_better(name: str) -> bool:
    """Whether less of the cost is better: true of all but speeds."""
    return not name.endswith("_per_second")


def combine(costs: pd.DataFrame) -> pd.DataFrame:
    """Costs of each view over its tasks: one row per view, one column per cost.

    Seconds, texts and index bytes add up, peaks and parameters take the greatest, speeds are those over all the time
    spent (total texts by total seconds), and the rest (latencies, shares) is averaged.

    Args:
        costs: columns view, run_id, name, value.
    """
    wide = costs.pivot_table(index=["view", "run_id"], columns="name", values="value", aggfunc="last")
    return pd.DataFrame({name: _combined(wide, name) for name in wide.columns})


def _combined(wide: pd.DataFrame, name: str) -> pd.Series:
    by_view = wide[name].groupby(level="view")
    if name.endswith(_SUMMED):
        return by_view.sum(min_count=1)
    if name.startswith(_GREATEST):
        return by_view.max()
    spent = "search_seconds" if name.startswith("queries") else "encode_seconds"
    if lower_is_better(name) or spent not in wide:
        return by_view.mean()
    seconds = wide[spent].where(wide[name].notna())
    done = (wide[name] * seconds).groupby(level="view").sum(min_count=1)
    return done / seconds.groupby(level="view").sum().replace(0.0, np.nan)
