"""The sidebar: what runs now. It notices finished runs and redraws the page."""

import time

import streamlit as st

from app import reading
from app.safe_text import plain
from app.settings import settings
from leaderboard.storage import live

_EVERY = 2.0  # seconds between two looks
_LEAST = 6.0  # seconds between two redraws, so that a page can be read while many processes write


def sidebar() -> None:
    """Remember the state that this page shows, and watch for the next one."""
    st.session_state["shown"] = (reading.stamp(), time.monotonic())
    _watch()


@st.fragment(run_every=_EVERY)
def _watch() -> None:
    stamp, drawn = st.session_state["shown"]
    if reading.store().stamp() != stamp and time.monotonic() - drawn > _LEAST:
        st.rerun()
    for progress in live.read(settings().db)[:4]:
        st.progress(
            progress.share,
            text=f"{plain(progress.model)} on {plain(progress.task)}: {plain(progress.phase)}",
        )
    st.caption(f"Results: {plain(settings().db)}")
