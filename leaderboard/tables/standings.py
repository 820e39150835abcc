"""The leaderboard: the store's views in order, with their uncertainty and what they cost."""

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from leaderboard.errors import LeaderboardError
from leaderboard.measures import shown
from leaderboard.saying import Say, silent
from leaderboard.statistics import aggregation
from leaderboard.statistics.intervals import OVER
from leaderboard.statistics.significance import choose
from leaderboard.storage import latest_runs
from leaderboard.storage.rows import settings_of
from leaderboard.storage.store import Store
from leaderboard.tables import costs, machines, one_model
from leaderboard.tables.evaluated_views import Tasks, Views, listed, read
from leaderboard.tables.known_facts import trained_on
from leaderboard.tables.ranked_rows import Row, Standings, rows_of
from leaderboard.tables.uncertainty import uncertainty

__all__ = ["Row", "Standings", "front", "rank", "rank_views", "tasks_of"]

# Column of the row -> whether less is better.
SORTS = {"mean": False, "types": False, "borda": True}


def rank(
    store: Store,
    tasks: Tasks | None = None,
    *,
    sort: str = "mean",
    metric: str = "main",
    incomplete: bool = False,
    over: str = "auto",
    level: float = 0.95,
    correction: str = "holm",
    main_revisions: Mapping[str, str] | None = None,
    split: str = "",
    every_view: bool = True,
    hardware: str = "",
    matrix: bool = False,
) -> Standings:
    """Rank the views in `store`.

    Args:
        store: a `leaderboard.storage.store.Store`.
        tasks: as in `evaluated_views.read`; None leaves out the questions of RAG runs,
            which no model answers alone.
        sort: "mean" over tasks, "types" (mean over task types), or "borda".
        metric: "main", or one metric for all tasks.
        incomplete: also rank views that lack tasks, by the mean over those they have and by mteb's
            Borda count.
        over: what intervals and groups resample: "queries", "tasks", "both"; "none" leaves them
            out; "auto" takes queries where all views were scored query by query, else tasks where
            there are six or more.
        level: of the confidence intervals; groups separate views at `1 - level`.
        correction: of the letters' tests, as in `leaderboard.statistics.significance.correct`;
            those of tiers are Bonferroni-corrected (`leaderboard.tables.separation`).
        main_revisions, split: as in `evaluated_views.read`.
        every_view: rank each view by itself, not one of each model (`one_model.one_each`).
        hardware: part of the name of the machine whose times and speeds are shown; that of the
            most views by default.
        matrix: whether the p-values of all pairs are wanted, too.

    Raises:
        LeaderboardError: an option is unknown, or the store has nothing to rank.
    """
    with store.database.opened():
        latest_runs.read_all(store)
        views = read(store, tasks_of(store, tasks), metric, main_revisions, split)
    found = rank_views(
        store,
        views,
        sort=sort,
        incomplete=incomplete,
        over=over,
        level=level,
        correction=correction,
        every_view=every_view,
        hardware=hardware,
        matrix=matrix,
    )
    named = [] if metric == "main" else [f"Scores are {shown(views.metrics[0])}."]
    return replace(found, notes=[*named, *found.notes])


def rank_views(
    store: Store,
    views: Views,
    *,
    sort: str = "mean",
    incomplete: bool = False,
    over: str = "auto",
    level: float = 0.95,
    correction: str = "holm",
    every_view: bool = True,
    hardware: str = "",
    matrix: bool = False,
    say: Say = silent,
) -> Standings:
    """Rank views that were read before; everything else as in `rank`. `say` is told how far
    the intervals are.
    """
    fewer = choose("order", sort, SORTS)
    choose("resampling", over, {"auto": None, "none": None, **OVER})
    known = latest_runs.model_details(store)
    model_names = one_model.names(views.table, known)
    both, counts = one_model.beside(views, model_names), model_names.value_counts()
    if not every_view:
        views = one_model.one_each(views, model_names)
    complete = views.scores.notna().all(axis=1)
    ranked = views.scores if incomplete else views.scores[complete]
    table = views.table.join(
        pd.DataFrame(
            {
                "mean": ranked.mean(axis=1) if incomplete else aggregation.mean_over_tasks(ranked),
                "types": aggregation.mean_over_types(ranked, views.types),
                "borda": aggregation.borda(ranked),
            }
        )
    )
    table["place"] = table[sort].rank(ascending=fewer, method="min")
    table["tasks"] = views.scores.notna().sum(axis=1)
    table = table.sort_values(
        ["place", "tasks", "label"], ascending=[True, False, True], na_position="last"
    )
    views = views.only(list(table.index))
    sure, used, note = uncertainty(
        store,
        views.only([v for v in table.index if complete[v]]),
        over,
        level,
        correction,
        matrix,
        say,
    )
    if len(sure) < table["place"].count():
        # A rank among some of the views would not be the place in the table.
        sure[["best_place", "worst_place"]] = None
    table = table.join(sure)
    names = views.scores.columns.tolist()
    table["name"] = model_names.loc[table.index]
    table["views"] = table["name"].map(counts)
    table = table.join(_beside(table["name"], both))
    details = [known.get(key, {}) for key in zip(table["model"], table["revision"], strict=True)]
    table["zero_shot"] = [aggregation.zero_shot(trained_on(each), names) for each in details]
    measured, machine_notes = machines.on_one(store, costs.by_run(store, views), hardware)
    combined = costs.combine(measured)
    rows = rows_of(table, views.scores, details, combined)
    placed = table.index[table["place"].notna()]
    cost_notes = costs.notes(measured[measured["view"].isin(placed)], combined)
    notes = [
        *_notes(views, complete, incomplete),
        *_mixed_dtypes(table),
        *machine_notes,
        *cost_notes,
        *([note] if note else []),
    ]
    asked = len(names) + len(views.absent)
    return Standings(rows, names, sort, used, level, notes, asked, views.types)


def in_order(found: Standings, sort: str) -> Standings:
    """A ranking without intervals in another order, as `rank_views` would make it anew."""
    fewer = choose("order", sort, SORTS)
    table = pd.DataFrame(
        {
            "by": pd.Series([getattr(row, sort) for row in found.rows], dtype=float),
            "tasks": [row.tasks for row in found.rows],
            "label": [row.label for row in found.rows],
        }
    )
    table["place"] = table["by"].rank(ascending=fewer, method="min")
    table = table.sort_values(["place", "tasks", "label"], ascending=[True, False, True])
    places = [None if place != place else int(place) for place in table["place"]]
    rows = [
        replace(found.rows[at], place=place) for at, place in zip(table.index, places, strict=True)
    ]
    return replace(found, rows=rows, sort=sort)


def tasks_of(store: Store, tasks: Tasks | None) -> Tasks | None:
    """The tasks to rank by: those asked for, else all that a model does by itself."""
    return _of_models(store) if tasks is None else tasks


def _of_models(store: Store) -> list[str] | None:
    """The tasks that a model does by itself; None, for all, where there are no such."""
    details = store.query(
        "SELECT DISTINCT task FROM results WHERE type IS DISTINCT FROM 'RAG' ORDER BY task"
    )
    return details["task"].to_pylist() or None


def front(standings: Standings, cost: str) -> list[bool]:
    """Which rows no other beats in both the mean score and `cost`;
    speeds count as better when higher.

    Raises:
        LeaderboardError: no row has this cost.
    """
    measured = sorted({name for row in standings.rows for name in row.costs})
    if cost not in measured:
        raise LeaderboardError(
            f"No model has {cost!r} on all of these tasks.",
            f"Measured on all: {', '.join(measured) or 'nothing'}. Choose tasks on which it was"
            " measured: --task.",
        )
    means = [float("nan") if row.mean is None else row.mean for row in standings.rows]
    spent = [row.costs.get(cost, float("nan")) for row in standings.rows]
    best: list[bool] = aggregation.pareto(
        means, spent, lower_is_better=costs.lower_is_better(cost)
    ).tolist()
    return best


def _beside(names: pd.Series, both: dict[str, one_model.Beside]) -> pd.DataFrame:
    found = [both.get(name) for name in names]
    columns = {
        "own": [each and each.own for each in found],
        "published": [each and each.published for each in found],
        "difference": [each and each.difference for each in found],
        "both": [each.tasks if each else 0 for each in found],
    }
    return pd.DataFrame(columns, index=names.index)


def _mixed_dtypes(table: pd.DataFrame) -> list[str]:
    """A note where models that were computed here were computed in different dtypes."""
    own = table.loc[table["source"] == "", "settings"]
    counts = own.map(lambda text: settings_of(text).get("dtype", "")).value_counts()
    named = [f"{dtype} ({counts[dtype]})" for dtype in sorted(counts.index) if dtype]
    return [f"Computed in different dtypes: {', '.join(named)}."] if len(named) > 1 else []


def _notes(views: Views, complete: pd.Series, incomplete: bool) -> list[str]:
    """What would mislead if it were not said."""
    notes = []
    if views.absent:
        total = len(views.absent) + len(views.scores.columns)
        notes.append(
            f"{len(views.absent)} of {total} tasks have no whole results and do not count:"
            f" {listed(views.absent)}."
        )
    lacking = int((~complete).sum())
    if lacking and incomplete:
        notes.append(
            f"{lacking} of {len(complete)} views lack tasks: their mean is over fewer tasks than"
            " the others'."
        )
    elif lacking:
        notes.append(f"{lacking} of {len(complete)} views lack tasks and have no place.")
    if views.mixed:
        notes.append(
            f"The views were scored on different revisions of {listed(views.mixed)}: their data may"
            " differ."
        )
    return [*notes, *views.notes]
