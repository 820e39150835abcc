"""Tables as plain HTML: real header cells for screen readers,
figures on the right, the best in bold.

Everything that comes from a user passes `html.escape`.
"""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import streamlit as st

from app.safe_text import breakable
from leaderboard.tables.table import Column

_SHORT = 40  # characters that stand on one line


class Link(NamedTuple):
    """A cell that leads to another view of the dashboard; `href` is made by `link`."""

    text: str
    href: str


def table(columns: Sequence[Column], caption: str) -> None:
    """Show a table; `caption` says to screen readers what it holds.
    Columns without any value are left out.
    """
    st.html(render([column for column in columns if column.filled], caption))


def render(columns: Sequence[Column], caption: str) -> str:
    """The table as HTML. The first column heads the rows."""
    header = "".join(
        f'<th scope="col"{_class(column)}{_title(column)}>{breakable(column.name)}</th>'
        for column in columns
    )
    bests = [column.best_value for column in columns]
    body = []
    for row in range(len(columns[0].cells) if columns else 0):
        cells = []
        for at, (column, best) in enumerate(zip(columns, bests, strict=True)):
            value = column.cells[row]
            text = _text(value, column)
            if best is not None and value == best:
                text = f"<strong>{text}</strong>"
            tag = 'th scope="row"' if at == 0 else "td"
            cells.append(f"<{tag}{_class(column, value)}>{text}</{tag[:2]}>")
        body.append(f"<tr>{''.join(cells)}</tr>")
    return (
        f'<div class="lab-table" role="region" tabindex="0" aria-label="{escape(caption)}"><table>'
        f"<caption>{escape(caption)}</caption><thead><tr>{header}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def _class(column: Column, value: object = None) -> str:
    if column.figures:
        return ' class="figure"'
    text = value.text if isinstance(value, Link) else value
    return ' class="long"' if isinstance(text, str) and len(text) > _SHORT else ""


def _title(column: Column) -> str:
    return f' title="{escape(column.help)}"' if column.help else ""


def _text(value: object, column: Column) -> str:
    if value is None or value == "" or value != value:
        return '<span class="nothing" aria-label="unknown">–</span>'
    if isinstance(value, Link):
        return f'<a href="{escape(value.href)}" target="_self">{breakable(value.text)}</a>'
    return column.text(value) if isinstance(value, int | float) else breakable(str(value))
