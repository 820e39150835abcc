"""Live: evaluations that run now, and the results that have just come in."""

import time
from datetime import datetime

import pandas as pd
import streamlit as st

from app import controls, reading
from app.safe_text import link, plain, view_of
from app.settings import settings
from app.tables import Link, table
from leaderboard.measures import shown
from leaderboard.storage import live
from leaderboard.tables.table import Column

_NEWEST = 20


def page() -> None:
    """The page; it redraws itself every second."""
    _now()
    _finished()


@st.fragment(run_every=1.0)
def _now() -> None:
    running = live.read(settings().db)
    st.header(f"Running now: {len(running)}")
    if not running:
        controls.empty(
            "No evaluation is running. One that starts appears here by itself.", controls.EVALUATE
        )
    for progress in running:
        with st.container(border=True):
            done = (
                f"{progress.done:,} of {progress.total:,}"
                if progress.total
                else f"{progress.done:,}"
            )
            st.progress(
                progress.share,
                text=(
                    f"**{plain(progress.model)}** on {plain(progress.task)}:"
                    f" {plain(progress.phase)}"
                ),
            )
            facts = [done, f"{progress.rate:,.0f} per second" if progress.rate else ""]
            facts.append(
                f"{_duration(progress.seconds_left)} left in this phase"
                if progress.seconds_left
                else ""
            )
            facts.append(f"running for {_duration(time.time() - progress.started)}")
            st.caption(plain(", ".join(filter(None, facts))))


@st.fragment(run_every=2.0)
def _finished() -> None:
    runs, imports = reading.newest(_NEWEST)
    st.header("Newest results")
    if runs.empty:
        st.caption("None has been computed here yet." if imports else "None yet.")
    else:
        _runs(runs)
    if imports:
        st.header("Imports")
        table(
            [
                Column("From", [each.where or "unknown" for each in imports]),
                Column("Files", [each.files for each in imports]),
                Column("Runs", [each.runs for each in imports]),
                Column("Finished (UTC)", [_moment(each.ended) for each in imports]),
            ],
            "Newest imports",
        )


def _runs(runs: pd.DataFrame) -> None:
    table(
        [
            Column(
                "Model",
                [
                    Link(model, link("run", id=id))
                    for model, id in zip(runs["model"], runs["id"], strict=True)
                ],
            ),
            Column(
                "View",
                [
                    view_of(layer, dim, precision, index, settings or "")
                    for layer, dim, precision, index, settings in zip(
                        *(
                            runs[name]
                            for name in ("layer", "dim", "precision", "index", "settings")
                        ),
                        strict=True,
                    )
                ],
            ),
            Column("Task", runs["task"].tolist()),
            Column("Metric", [shown(name) if name else "" for name in runs["main_metric"]]),
            Column("Score", [float(score) for score in runs["main_score"]]),
            Column("Origin", [source or "computed here" for source in runs["source"]]),
            Column("Finished (UTC)", [_moment(created) for created in runs["created"]]),
        ],
        "Newest results",
        cards=True,
    )


def _moment(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S}"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours} h {minutes} min"
        if hours
        else f"{minutes} min {seconds} s"
        if minutes
        else f"{seconds} s"
    )
