"""Layer x dimension tables of a model's scores."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from leaderboard.errors import LeaderboardError
from leaderboard.measures import shown
from leaderboard.storage.store import Store
from leaderboard.tables import evaluated_views
from leaderboard.tables.evaluated_views import listed


@dataclass(frozen=True)
class Grid:
    """Scores of one model through one index at one precision, and computed alike.

    view: index and precision, and of settings, revision and source those in which the model's grids
    differ.
    scores, front: layers by dimensions (None stands for the full depth); NaN and False where no run
    exists.
    smallest: the cheapest view within 1 % of the best score, by layers times dimensions.
    notes: what the reader must know of them.
    """

    index: str
    precision: str
    settings: str
    revision: str
    source: str
    view: str
    measure: str
    scores: pd.DataFrame
    front: pd.DataFrame
    smallest: str
    notes: list[str] = field(default_factory=list)

    def cells(self) -> dict[str, Any]:
        """The grid as plain values."""
        listed = [
            {"layer": layer, "dim": dim, "score": score, "pareto": pareto}
            for layer, scores, on_front in zip(
                self.scores.index,
                self.scores.to_numpy(float).tolist(),
                self.front.to_numpy(bool).tolist(),
                strict=True,
            )
            for dim, score, pareto in zip(self.scores.columns, scores, on_front, strict=True)
            if not np.isnan(score)
        ]
        named = ("index", "precision", "settings", "revision", "source", "measure", "notes")
        return {**{name: getattr(self, name) for name in named}, "cells": listed}


_ALIKE = ["index", "precision", "settings", "revision", "source"]


def grids(
    store: Store,
    model: str,
    tasks: Collection[str] | None = None,
    *,
    metric: str = "main",
    main_revisions: Mapping[str, str] | None = None,
) -> list[Grid]:
    """One grid for each index, precision and way of computing of the model;
    the score is the mean over the tasks.

    Args:
        store: a `leaderboard.storage.store.Store`.
        model: the model's name.
        tasks: names; None for all tasks on which the model has results.
        metric, main_revisions: as in `leaderboard.tables.evaluated_views.read`.

    Raises:
        LeaderboardError: the store has no results of the model on these tasks.
    """
    views = evaluated_views.read(store, tasks, metric, main_revisions)
    own = views.table[views.table["model"].str.lower() == model.lower()]
    if own.empty:
        raise LeaderboardError(
            f"The results hold no model {model!r} on these tasks.",
            f"They hold: {', '.join(sorted(set(views.table['model'])))}.",
        )
    scores = views.scores.loc[own.index]
    scores = scores.loc[:, scores.notna().any()]
    table = own.assign(score=scores.mean(axis=1, skipna=False)).dropna(subset="score")
    names = views.runs.loc[views.runs["task"].isin(scores.columns), "metric"].unique()
    name = shown(names[0]) if len(names) == 1 else "the main scores"
    measure = (
        f"{name} on {scores.columns[0]}"
        if scores.shape[1] == 1
        else f"mean of {name} over {scores.shape[1]} tasks"
    )
    mixed = views.only(list(table.index)).mixed
    notes = [
        f"The views were scored on different revisions of {listed(mixed)}: their data may differ."
    ]
    varying = [name for name in _ALIKE[2:] if table[name].nunique(dropna=False) > 1]
    return [
        _grid(
            dict(zip(_ALIKE, map(str, alike), strict=True)),
            varying,
            measure,
            part,
            notes * bool(mixed) + views.notes,
        )
        for alike, part in table.groupby(_ALIKE, dropna=False)
    ]


def _grid(
    alike: dict[str, str], varying: list[str], measure: str, part: pd.DataFrame, notes: list[str]
) -> Grid:
    view = [
        alike["index"] or "no index",
        alike["precision"],
        *(alike[name] or f"no {name}" for name in varying),
    ]
    layers = [None if pd.isna(layer) else int(layer) for layer in part["layer"]]
    depth = [np.inf if layer is None else layer for layer in layers]
    scores = pd.DataFrame(
        {
            "layer": depth,
            "dim": part["dim"].astype("Int64").fillna(0).astype(int),
            "score": part["score"].to_numpy(),
        }
    )
    dominated = [
        bool(
            (
                (scores.layer <= a.layer)
                & (scores.dim <= a.dim)
                & (scores.score >= a.score)
                & ((scores.layer < a.layer) | (scores.dim < a.dim) | (scores.score > a.score))
            ).any()
        )
        for a in scores.itertuples()
    ]
    scores["front"] = ~np.array(dominated)
    good = scores[scores.score >= 0.99 * scores.score.max()]
    best = good.assign(size=good.layer.replace(np.inf, 1e9) * good.dim).nsmallest(1, "size").iloc[0]
    name = (
        f"{'full depth' if np.isinf(best.layer) else f'layer {int(best.layer)}'},"
        f" {int(best.dim)} dimensions"
    )

    def table(column: str) -> pd.DataFrame:
        frame = scores.pivot_table(index="layer", columns="dim", values=column, aggfunc="last")
        frame.index = pd.Index(
            [None if np.isinf(layer) else int(layer) for layer in frame.index], dtype=object
        )
        return frame

    front = table("front").fillna(0).astype(bool)
    return Grid(
        **alike,
        view=", ".join(view),
        measure=measure,
        scores=table("score"),
        front=front,
        smallest=name,
        notes=notes,
    )
