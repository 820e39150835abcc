"""The leaderboard's filters: they hide rows and leave places,
intervals and groups as they are among all.
"""

from datetime import date

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import reading
from app.controls import URL
from leaderboard.tables.standings import Row


def filtered(rows: list[Row], search: DeltaGenerator) -> list[Row]:
    """Show the filters, the search for names in `search`, and return the rows that pass."""
    name = search.text_input(
        "Search models", key="name", bind=URL, max_chars=200, placeholder="part of a name",
        icon=":material/search:",
    ).lower()  # fmt: skip
    with st.expander("Filters", icon=":material/filter_alt:", key="filters"):
        second, third, fourth = st.columns(3)
        kinds = second.multiselect(
            "Kind", sorted({row.kind for row in rows}), key="kind", bind=URL, placeholder="all"
        )
        source = third.selectbox(
            "Origin", ["All", "Computed here", "Imported"], key="origin", bind=URL
        )
        dims = fourth.multiselect(
            "Dimensions",
            sorted({row.dim for row in rows if row.dim}),
            key="dims",
            bind=URL,
            placeholder="all",
        )
        first, second, third, fourth = st.columns(4)
        most = first.number_input(
            "At most, million parameters",
            0,
            10**7,
            None,
            key="size",
            bind=URL,
            placeholder="any size",
        )
        fresh = second.number_input(
            "Zero-shot on at least, %", 0, 100, None, key="zeroshot", bind=URL, placeholder="any"
        )
        since = third.date_input(
            "Evaluated since", None, key="since", bind=URL, max_value=date.today()
        )
        fourth.caption(
            "A model whose size, or whose training data, is unknown does not pass that filter."
        )
    newest = reading.last_evaluated() if since else {}
    return [
        row
        for row in rows
        if name in f"{row.label} {row.name}".lower()
        and (not kinds or row.kind in kinds)
        and (source == "All" or (source == "Imported") == bool(row.source))
        and (not dims or row.dim in dims)
        and (most is None or 0 < row.costs.get("parameters", 0) <= most * 1e6)
        and (fresh is None or (row.zero_shot is not None and row.zero_shot >= fresh))
        and (not since or newest.get(row.model, pd.Timestamp.min).date() >= since)
    ]
