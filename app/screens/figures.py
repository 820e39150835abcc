"""Figures of a ranking, the same as `embedlab plot` draws."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from app import charts, controls, reading
from leaderboard.charts import figure_kinds
from leaderboard.charts.looks import finished, of_page
from leaderboard.errors import LeaderboardError
from leaderboard.tables.standings import Standings

_MOST = 30  # models of the rank intervals


def of_ranking(standings: Standings, waiting: bool) -> None:
    """The figure that the reader chooses; none is drawn before.

    `waiting`: the intervals are still being computed.
    """
    look = of_page(st.context.theme.type == "dark")
    drawn: dict[str, Callable[[], Any]] = {
        "Rank intervals": lambda: figure_kinds.rank_intervals(standings, _MOST),
        "Task types": lambda: figure_kinds.by_type(standings),
        "Release dates": lambda: figure_kinds.over_time(standings, reading.store(), look),
        "Correlation of tasks": lambda: figure_kinds.task_correlation(standings),
    }
    st.header("Figures")
    chosen = st.segmented_control(
        "Figure", list(drawn), key="figure", bind=controls.URL, label_visibility="collapsed"
    )
    if not chosen:
        return
    if waiting and chosen == "Rank intervals":
        st.caption("It is drawn as soon as the intervals are computed.")
        return
    try:
        chart = finished(drawn[chosen](), look)
        # Cells of a size of their own; the others take the page's width.
        stepped = chosen == "Correlation of tasks"
        charts.show(chart, chosen, width="content" if stepped else "stretch", theme=None)
    except LeaderboardError as error:
        st.info(f"{error} {error.hint}", icon=":material/info:")
