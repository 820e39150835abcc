"""The leaderboard's filters: they hide rows and leave places,
intervals and groups as they are among all.
"""

from datetime import date

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import reading
from app.controls import URL
from leaderboard.tables import row_fields
from leaderboard.tables.standings import Row
from retrievers.where import passing


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
        fourth.caption("A model of which a filter's fact is unknown does not pass that filter.")
        first, second, third = st.columns(3)
        licences = first.multiselect(
            "Licence",
            sorted({row.facts.licence for row in rows if row.facts.licence}),
            key="licence",
            bind=URL,
            placeholder="all",
        )
        languages = second.multiselect(
            "Languages",
            sorted({each for row in rows for each in row.facts.languages or ()}),
            key="language",
            bind=URL,
            placeholder="all",
            help="Only models made for all of these",
        )
        weights = third.selectbox("Weights", ["All", "Open", "Closed"], key="weights", bind=URL)
        where = st.text_input(
            "Where",
            key="where",
            bind=URL,
            max_chars=1000,
            placeholder="max_tokens >= 8192 and parameters < 1e9",
            help="A condition, as `embedlab leaderboard --where` takes it",
        )
    newest = reading.last_evaluated() if since else {}
    if where:
        passed = passing(where, [row_fields.fields(row) for row in rows],
                         row_fields.KINDS, row_fields.WHAT, row_fields.KEY)  # fmt: skip
        rows = [rows[at] for at in passed]
    return [
        row
        for row in rows
        if name in f"{row.label} {row.name}".lower()
        and (not kinds or row.kind in kinds)
        and (source == "All" or (source == "Imported") == bool(row.source))
        and (not dims or row.dim in dims)
        and (most is None or 0 < row.costs.get("parameters", 0) <= most * 1e6)
        and (fresh is None or (row.zero_shot is not None and row.zero_shot >= fresh))
        and (not licences or row.facts.licence in licences)
        and set(languages) <= set(row.facts.languages or ())
        and (weights == "All" or row.facts.open_weights is (weights == "Open"))
        and (not since or newest.get(row.model, pd.Timestamp.min).date() >= since)
    ]
