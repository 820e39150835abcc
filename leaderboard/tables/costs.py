"""Measured costs of several runs as those of one row of a leaderboard."""

from typing import cast

import numpy as np
import pandas as pd

from leaderboard.storage import latest_runs
from leaderboard.storage.store import Store
from leaderboard.tables.evaluated_views import Views

_SUMMED = ("_seconds", "_texts", "index_bytes")
_GREATEST = ("peak_", "parameters")
# The part of the encode seconds that was not measured but derived.
_DERIVED = "encode_derived_share"
# Facts of a model, or of a measurement: no matter on which tasks.
_ANYWHERE = ("parameters", _DERIVED)
# Costs that are reported where a view has them on some of the tasks alone.
_REPORTED = (
    "encode_seconds",
    "texts_per_second",
    "search_seconds",
    "index_bytes",
    "evaluation_seconds",
)
_PART = ["task", "split", "subset"]


def lower_is_better(name: str) -> bool:
    """Whether less of the cost is better: true of all but speeds."""
    return not name.endswith("_per_second")


def by_run(store: Store, views: Views) -> pd.DataFrame:
    """What was measured of each run of `evaluated_views.Views`:
    view, run_id, task, split, subset, name, value.
    """
    runs: pd.DataFrame = views.runs[["view", "run_id", *_PART]]
    return runs.merge(latest_runs.costs(store), on="run_id")


def combine(costs: pd.DataFrame) -> dict[int, dict[str, float]]:
    """Costs of each view over the tasks, by view and name.

    A view has a cost only where it was measured on every part of a task on which any view has it:
    the seconds of 21 tasks are not fewer than those of 38. Seconds, texts and index bytes add up,
    peaks and parameters take the greatest, speeds are those over all the time spent (total texts by
    total seconds), and the rest (latencies, shares) is averaged.

    Args:
        costs: columns view, run_id, task, split, subset, name, value.
    """
    if costs.empty:
        return {}
    wide = costs.pivot_table(
        index=["view", "run_id"], columns="name", values="value", aggfunc="last"
    )
    combined = pd.DataFrame({name: _combined(wide, name) for name in wide.columns})
    for name, of_name in costs.groupby("name"):
        if name not in _ANYWHERE:
            combined[name] = combined[name].where(
                _is_whole(of_name).reindex(combined.index, fill_value=False)
            )
    names = [str(name) for name in combined]
    return {
        cast("int", view): {
            name: value for name, value in zip(names, values, strict=True) if value == value
        }
        for view, values in zip(combined.index, combined.to_numpy().tolist(), strict=True)
    }


def notes(costs: pd.DataFrame, combined: dict[int, dict[str, float]]) -> list[str]:
    """What the reader must know: which costs are not there for all, and which were derived.

    Args:
        costs: as in `combine`, of the views that are shown.
    """
    lines = []
    partly = {
        name: len({view for view in of_name["view"].unique() if name not in combined.get(view, {})})
        for name, of_name in costs.groupby("name")
        if name in _REPORTED
    }
    if names := [name for name in _REPORTED if partly.get(name)]:
        most = max(partly.values())
        lines.append(
            f"{most} {'view was' if most == 1 else 'views were'} not measured on all tasks on which"
            f" others were: what {'it' if most == 1 else 'they'} would show as"
            f" {', '.join(names)} does not compare and is left out."
        )
    if derived := len(
        {view for view in costs["view"].unique() if combined.get(view, {}).get(_DERIVED)}
    ):
        lines.append(
            f"The encode seconds and speeds of {derived} {'view' if derived == 1 else 'views'} are"
            " derived, not measured: several layers came of one pass."
        )
    return lines


def _is_whole(costs: pd.DataFrame) -> pd.Series:
    """Whether a view has the cost on every part of a task on which any view has it:
    bool, by view.
    """
    parts = costs[["view", *_PART]].drop_duplicates()
    return parts.groupby("view").size() == len(parts[_PART].drop_duplicates())


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
