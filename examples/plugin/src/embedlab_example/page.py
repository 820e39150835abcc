"""A page of the dashboard: the hardest tasks, those with the lowest best score."""

import streamlit as st

from app import controls, reading
from app.tables import table
from leaderboard.tables.table import Column


def page() -> None:
    """The page, `hardest` in the address."""
    if reading.tasks().empty:
        controls.empty("There are no results yet.", controls.EVALUATE)
        return
    best = (
        reading.all_views(controls.pick_tasks()).runs.groupby("task")["score"].max().sort_values()
    )
    st.caption("The best score of any model, lowest first")
    table(
        [Column("Task", list(best.index)), Column("Best", [f"{score:.4f}" for score in best])],
        "Tasks by best score",
    )
