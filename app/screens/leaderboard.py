"""Leaderboard: models ranked over the tasks of a benchmark,
with what is known of the ranks' uncertainty.
"""

from dataclasses import fields

import pandas as pd
import streamlit as st

from app import controls, downloads, reading
from app.filters import filtered
from app.heat import heat_map
from app.safe_text import plain, view_of
from app.tables import Link, table
from leaderboard.tables.standings import Row, Standings
from leaderboard.tables.table import Column

ORDERS = {"Mean over tasks": "mean", "Mean over task types": "types", "Borda count": "borda"}
PAGE = 50  # rows
_FEW_TASKS = 6  # so many have a column each, always
_HEAT = 25  # rows of the heat map
_CHOICES = [
    "Interval", "With other tasks", "Places", "Group", "Mean by type", "Borda", "Zero-shot", "Kind",
    "View", "Source", "Revision",
]  # fmt: skip
_DEFAULT = ["Interval", "Places", "Group", "Borda", "Zero-shot", "Kind", "View"]


def page() -> None:
    """The page."""
    controls.require_results()
    parts = controls.pick_tasks()
    left, middle, right = st.columns([3, 3, 6], vertical_alignment="bottom")
    order = left.selectbox("Order by", list(ORDERS), key="order", bind=controls.URL)
    incomplete = middle.checkbox(
        "Rank incomplete models",
        key="incomplete",
        bind=controls.URL,
        help="Models that lack tasks are ranked by those that they have",
    )
    standings = reading.ranked(parts, ORDERS[order], incomplete)
    if not incomplete and all(row.place is None for row in standings.rows):
        st.info(
            "No model has all of these tasks: each is ranked by those that it has.",
            icon=":material/rule:",
        )
        standings = reading.ranked(parts, ORDERS[order], True)
    costs = sorted({cost for row in standings.rows for cost in row.costs})
    names = {controls.name_of(cost): cost for cost in costs}
    few = standings.tasks if len(standings.tasks) <= _FEW_TASKS else []
    offered = [*_CHOICES, *names, *(task for task in standings.tasks if task not in few)]
    columns = [
        *few,
        *right.multiselect("Columns", offered, default=_DEFAULT, key="columns", bind=controls.URL),
    ]
    rows = filtered(standings.rows)
    if not rows:
        st.info("No model passes the filters.", icon=":material/filter_alt_off:")
        return
    pages = -(-len(rows) // PAGE)
    above = st.container()
    number = st.pagination(pages, key="p", bind=controls.URL) if pages > 1 else 1
    shown = rows[(number - 1) * PAGE :][:PAGE]
    with above:
        table(_columns(standings, shown, columns, names), f"Models ranked by {order.lower()}")
    _legend(standings, len(rows))
    downloads.buttons(lambda: _frame(rows), "leaderboard")
    if len(standings.tasks) > 1:
        _heat_map(standings, shown[:_HEAT])


def _columns(
    standings: Standings, rows: list[Row], chosen: list[str], costs: dict[str, str]
) -> list[Column]:
    several = len(standings.tasks) > 1
    offered = {
        "Mean by type": Column(
            "Mean by type", [row.types if several else None for row in rows], best="max"
        ),
        "Borda": Column(
            "Borda",
            [row.borda if several else None for row in rows],
            best="min",
            help="Rank by Borda count, as MTEB computes it",
        ),
        "Interval": Column(
            f"{standings.level:.0%} interval",
            [_span(row.low, row.high, ".4f") for row in rows],
            help=f"Confidence interval of the mean; resampled: {standings.over}",
            right=True,
        ),
        "With other tasks": Column(
            "With other tasks",
            [_span(row.nested_low, row.nested_high, ".4f") for row in rows],
            help="Confidence interval of the mean where other tasks are drawn as well",
            right=True,
        ),
        "Places": Column(
            "Places",
            [_span(row.best_place, row.worst_place, "d") for row in rows],
            help="Confidence interval of the rank by mean",
            right=True,
        ),
        "Group": Column(
            "Group",
            [row.group for row in rows],
            help="Models that share a letter cannot be told apart",
        ),
        "Zero-shot": Column(
            "Zero-shot %",
            [row.zero_shot for row in rows],
            help="Share of the tasks that the model was not trained on",
        ),
        "Kind": Column("Kind", [row.kind for row in rows]),
        "View": Column(
            "View",
            [view_of(row.layer, row.dim, row.precision, row.index, row.settings) for row in rows],
            help="Layer, dimensions, precision, index, dtype",
        ),
        "Source": Column("Source", [row.source or "computed here" for row in rows]),
        "Revision": Column("Revision", [row.revision[:12] for row in rows]),
        **{
            name: Column(name, [row.costs.get(cost) for row in rows], digits=1)
            for name, cost in costs.items()
        },
        **{
            task: Column(task, [row.scores.get(task) for row in rows], best="max")
            for task in standings.tasks
        },
    }
    score = "Mean" if several else standings.tasks[0]
    fixed = [
        Column("Model", [Link(row.label, controls.run_link(row.label)) for row in rows]),
        Column(
            "#",
            [row.place for row in rows],
            help="Place among all models, whatever the filters hide",
        ),
        Column(score, [row.mean for row in rows], best="max"),
        (
            Column(
                "Tasks",
                [f"{row.tasks} of {len(standings.tasks)}" if lacking else None for row in rows],
            )
            if (lacking := any(row.tasks < len(standings.tasks) for row in rows))
            else Column("Tasks", [])
        ),
    ]
    return [*fixed, *(offered[name] for name in chosen if name in offered and name != score)]


def _legend(standings: Standings, count: int) -> None:
    lines = [f"{count} of {len(standings.rows)} models."]
    if standings.over:
        lines.append(
            f"Intervals resample {standings.resampled}. Models that share a letter cannot be told"
            f" apart at {1 - standings.level:.2g}."
        )
    st.caption(plain(" ".join([*lines, *standings.notes])))


def _heat_map(standings: Standings, rows: list[Row]) -> None:
    st.subheader("Task by task")
    within = st.toggle(
        "Compare within each task",
        key="within",
        bind=controls.URL,
        help="Colours run from the lowest to the highest score of each task",
    )
    values = [[row.scores.get(task) for task in standings.tasks] for row in rows]
    heat_map(
        [row.label for row in rows],
        standings.tasks,
        values,
        "Scores by model and task",
        by_column=within,
    )
    if len(rows) == _HEAT:
        st.caption(f"The first {_HEAT} models of this page.")


def _frame(rows: list[Row]) -> pd.DataFrame:
    facts = [field.name for field in fields(Row) if field.name not in ("scores", "costs")]
    return pd.DataFrame(
        [{name: getattr(row, name) for name in facts} | row.scores | row.costs for row in rows]
    )


def _span(low: float | None, high: float | None, form: str) -> str | None:
    if low is None:
        return None
    return (
        f"{low:{form}}"
        if low == high
        else f"{low:{form}}\u00a0– {high:{form}}".replace(" ", "\u00a0")
    )
