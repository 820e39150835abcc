"""One model under one name: what was computed here, what was published, and the view that stands
for it in a ranking.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from leaderboard.storage.rows import settings_of
from leaderboard.tables.evaluated_views import Views

# Searched exhaustively, or not at all: no approximation of the index's in the score.
_EXACT = ("", "torch", "faiss:flat")


class Beside(NamedTuple):
    """The means of own and of published results of a model over the tasks that have both."""

    own: float
    published: float
    tasks: int

    @property
    def difference(self) -> float:
        """Own less published."""
        return self.own - self.published


def names(table: pd.DataFrame, details: Mapping[tuple[str, str], Mapping[str, Any]]) -> pd.Series:
    """The name of the model of each view: that of its own results, where published ones are of the
    same model under its hub name.

    A model evaluated under its own name says which hub model it is (its details' `source`); with
    settings of its own (`all-minilm-l6-v2?max_length=64`) it is another.

    Args:
        table: of `Views`.
        details: by name and revision, as `latest_runs.model_details`.
    """
    own = {
        str(known["source"]): model
        for model, revision in zip(table["model"], table["revision"], strict=True)
        if (known := details.get((model, revision), {})).get("source")
        and known.get("name") == model
    }
    hub = {name: model for name, model in own.items() if name != model}
    return table["model"].map(lambda model: hub.get(model, model))


def one_each(views: Views, names: pd.Series) -> Views:
    """Of each model the view that stands for it, chosen by what it is, never by its score.

    In this order: seen in full (depth, width, precision); on the most tasks; computed here; the
    deepest and widest; in float32; with the fewest settings; searched exactly; the newest.
    """
    table = views.table
    newest = views.runs.groupby("view")["created"].max()
    settings = [settings_of(text) for text in table["settings"]]
    order = pd.DataFrame(
        {
            "name": names,
            "full": [view in views.full for view in table.index],
            "tasks": views.scores.notna().sum(axis=1),
            "own": table["source"] == "",
            "layer": table["layer"].astype(float).fillna(float("inf")),
            "dim": table["dim"].astype(float).fillna(float("inf")),
            "float32": table["precision"] == "float32",
            "dtype": [each.get("dtype", "float32") == "float32" for each in settings],
            "plain": [-len(each) for each in settings],
            "exact": table["index"].isin(_EXACT),
            "created": newest.reindex(table.index),
        },
        index=table.index,
    )
    by = [str(column) for column in order][1:]
    best = order.sort_values(by, ascending=False, kind="stable")
    chosen = set(best.drop_duplicates("name").index)
    return views.only([view for view in table.index if view in chosen])


def beside(views: Views, names: pd.Series) -> dict[str, Beside]:
    """Own and published results of each model that has both, by `names`; views as in `one_each`,
    of either.
    """
    computed = views.table["source"] == ""
    own, other = (views.only(views.table.index[each].tolist()) for each in (computed, ~computed))
    both = set(names[own.table.index]) & set(names[other.table.index])
    if not both:
        return {}
    first, second = _scores(own, names), _scores(other, names)
    found = {}
    for name in both:
        shared = pd.concat([first[name], second[name]], axis=1).dropna()
        if len(shared):
            a, b = shared.mean()
            found[name] = Beside(float(a), float(b), len(shared))
    return found


def _scores(views: Views, names: pd.Series) -> dict[str, pd.Series]:
    """The scores by task of the view that stands for each model."""
    best = one_each(views, names[views.table.index])
    return {str(names[view]): best.scores.loc[view] for view in best.table.index}
