"""Leaderboard: models ranked over the tasks of a benchmark,
with what is known of the ranks' uncertainty.
"""

from collections.abc import Callable
from dataclasses import fields

import pandas as pd
import streamlit as st

from app import controls, downloads, later, reading
from app.filters import filtered
from app.heat import heat_map
from app.safe_text import link, plain
from app.screens import figures, leaderboard_columns
from app.tables import Link, Order, table
from leaderboard.tables.known_facts import in_words
from leaderboard.tables.standings import Row, Standings
from leaderboard.tables.table import Column

ORDERS = {"Mean over tasks": "mean", "Mean over task types": "types", "Borda count": "borda"}
PAGE = 50  # rows
_HEAT = 25  # rows of the heat map
_AT_ONCE = 2_000  # scores, beyond which intervals take longer than a reader should wait


def page() -> None:
    """The page."""
    controls.require_results()
    parts = controls.pick_tasks()
    left, middle, right = st.columns([3, 3, 4], vertical_alignment="bottom")
    order = left.selectbox("Order by", list(ORDERS), key="order", bind=controls.URL)
    incomplete = middle.checkbox(
        "Rank incomplete models",
        key="incomplete",
        bind=controls.URL,
        help="Models that lack tasks are ranked by those that they have",
    )
    every_view = right.checkbox(
        "Every view",
        key="views",
        bind=controls.URL,
        help="A row for each layer, dimension, precision and index, not for each model",
    )
    standings = reading.ranked(parts, ORDERS[order], incomplete, every_view=every_view)
    if not incomplete and all(row.place is None for row in standings.rows):
        st.info(
            "No model has all of these tasks: each is ranked by those that it has.",
            icon=":material/rule:",
        )
        incomplete = True
        standings = reading.ranked(parts, ORDERS[order], True, every_view=every_view)
    sure = reading.ranked_surely(parts, ORDERS[order], incomplete, every_view)
    # Rows, places and scores do not wait for intervals and groups; of many these are not begun
    # before the page stands.
    many = len(standings.rows) * len(standings.tasks) > _AT_ONCE
    waiting = not (sure.there() if many else sure.ready())
    standings = standings if waiting else sure.answer()
    costs = sorted({cost for row in standings.rows for cost in row.costs})
    names = {controls.name_of(cost): cost for cost in costs}
    offered = leaderboard_columns.choices(standings, names)
    chosen_set = st.segmented_control(
        "Column set",
        list(leaderboard_columns.SETS),
        default="Uncertainty",
        key="set",
        bind=controls.URL,
    )
    usual = leaderboard_columns.of_set(chosen_set or "", standings, names)
    search, right = st.columns(2, vertical_alignment="bottom")
    more = right.multiselect(
        "More columns",
        [name for name in offered if name not in usual],
        key="columns",
        bind=controls.URL,
        placeholder="none",
    )
    columns = [*usual, *more]
    rows = filtered(standings.rows, search)
    if not rows:
        st.info("No model passes the filters.", icon=":material/filter_alt_off:")
        return
    rows, sorted_by = _sorted(
        rows, lambda: leaderboard_columns.columns(standings, rows, columns, names)
    )
    pages = -(-len(rows) // PAGE)
    above = st.container()
    number = st.pagination(pages, key="p", bind=controls.URL) if pages > 1 else 1
    shown = rows[(number - 1) * PAGE :][:PAGE]
    with above:
        of = f", {standings.coverage}" if standings.coverage else ""
        table(
            leaderboard_columns.columns(standings, shown, columns, names),
            f"Models ranked by {order.lower()}{of}",
            order=sorted_by,
            cards=True,
        )
    below = st.container()
    _legend(standings, len(rows))
    downloads.buttons(lambda: _frame(rows), "leaderboard")
    if len(standings.tasks) > 1:
        _heat_map(standings, shown[:_HEAT])
    figures.of_ranking(standings, waiting)
    if waiting:
        with below:
            later.progress(sure, "Intervals, places and groups")


def _sorted(rows: list[Row], columns: Callable[[], list[Column]]) -> tuple[list[Row], Order]:
    """The rows by the column whose header was clicked, unknown values last; by place otherwise."""
    typed = str(st.query_params.get("sort", ""))
    by, turned = typed.removeprefix("-"), typed.startswith("-")
    state = {name: st.query_params.get_all(name) for name in st.query_params if name != "sort"}
    sortable = columns() if by not in ("", "#") else []
    column = next((each for each in sortable if each.name == by), None)
    by, turned = (by, turned) if column else ("#", False)
    # Figures start with the highest but where less is better, names with the first letter.
    falls = bool(column and column.figures and column.best != "min") != turned

    def address(name: str) -> str:
        if name == "#":
            return link("leaderboard", **state)
        return link("leaderboard", **state, sort="-" * (name == by and not turned) + name)

    if column is None:
        return rows, Order("#", False, address)
    cells = [cell.text if isinstance(cell, Link) else cell for cell in column.cells]
    known = [at for at, cell in enumerate(cells) if cell not in (None, "")]
    known.sort(key=lambda at: cells[at], reverse=falls)
    unknown = [at for at, cell in enumerate(cells) if cell in (None, "")]
    return [rows[at] for at in (*known, *unknown)], Order(by, falls, address)


def _legend(standings: Standings, count: int) -> None:
    lines = [f"{count} of {len(standings.rows)} models."]
    if standings.coverage:
        lines.append(f"Only {standings.coverage} of this benchmark have results.")
    if standings.over:
        lines.append(f"Intervals resample {standings.resampled}; {standings.grouped}.")
    st.caption(plain(" ".join([*lines, *standings.notes])))


def _heat_map(standings: Standings, rows: list[Row]) -> None:
    st.header("Task by task")
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
    nested = ("scores", "costs", "facts", "p_values")
    plain_ones = [field.name for field in fields(Row) if field.name not in nested]
    return pd.DataFrame(
        [
            {name: getattr(row, name) for name in plain_ones}
            | {name: in_words(value, None) for name, value in vars(row.facts).items()}
            | row.scores
            | row.costs
            for row in rows
        ]
    )
