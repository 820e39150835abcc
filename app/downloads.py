"""A table to take away: CSV, Parquet, LaTeX. Made when the button is pressed, not before."""

import io
from collections.abc import Callable

import pandas as pd
import streamlit as st

from leaderboard.exchange.csv_text import defused
from leaderboard.tables.table import escape_latex


def buttons(frame: Callable[[], pd.DataFrame], name: str) -> None:
    """Three download buttons for the table that `frame` makes."""
    makers: dict[str, tuple[str, str, Callable[[], str | bytes]]] = {
        "CSV": ("csv", "text/csv", lambda: csv(frame())),
        "Parquet": ("parquet", "application/vnd.apache.parquet", lambda: _parquet(frame())),
        "LaTeX": ("tex", "application/x-tex", lambda: latex(frame())),
    }
    with st.container(horizontal=True):
        for form, (ending, kind, make) in makers.items():
            st.download_button(
                form,
                make,
                f"{name}.{ending}",
                kind,
                key=f"download-{name}-{ending}",
                icon=":material/download:",
                on_click="ignore",
                help=f"The table with all its columns as {form}",
            )


def csv(frame: pd.DataFrame) -> str:
    """CSV in which no text is a formula to a spreadsheet."""
    safe = frame.rename(columns=defused).map(
        lambda cell: defused(cell) if isinstance(cell, str) else cell
    )
    return safe.to_csv(index=False)


def latex(frame: pd.DataFrame) -> str:
    """A tabular for the package booktabs:
    columns without any value left out, floats with four decimals.
    """
    shown = frame.dropna(axis="columns", how="all").fillna("")
    columns = [name for name in shown if not (shown[name] == "").all()]
    escaped = (
        shown[columns]
        .rename(columns=escape_latex)
        .map(lambda cell: escape_latex(cell) if isinstance(cell, str) else cell)
    )
    return escaped.to_latex(index=False, float_format="%.4f", escape=False)


def _parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()
