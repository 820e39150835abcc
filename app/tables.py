"""Tables as plain HTML: real header cells for screen readers, figures on the right, the best in bold.

Everything that comes from a user passes `html.escape`.
"""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import streamlit as st

from app.safe_text import breakable

_SHORT = 40  # characters that stand on one line
_NO_DIGITS = 10_000  # from here on, digits after the point say nothing


class Link(NamedTuple):
    """A cell that leads to another view of the dashboard; `href` is made by `link`."""

    text: str
    href: str


class Column(NamedTuple):
    """A header and one cell per row: a number, a text, a Link, or None for an unknown value.

    digits: of floats after the point. best: "max" or "min", the figure to set in bold. help: shown on the header.
    signed: with a plus sign. right: texts that hold figures, such as intervals, stand on the right too.
    """

    name: str
    cells: Sequence
    digits: int = 4
    best: str = ""
    help: str = ""
    signed: bool = False
    right: bool = False


def table(columns: Sequence[Column], caption: str) -> None:
    """Show a table; `caption` says to screen readers what it holds. Columns without any value are left out."""
    st.html(render([column for column in columns if any(cell not in (None, "") for cell in column.cells)], caption))


def render(columns: Sequence[Column], caption: str) -> str:
    """The table as HTML. The first column heads the rows."""
    header = "".join(
        f'<th scope="col"{_class(column)}{_title(column)}>{breakable(column.name)}</th>' for column in columns
    )
    bests = [_best(column) for column in columns]
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
    if column.right or any(isinstance(cell, int | float) for cell in column.cells):
        return ' class="figure"'
    text = value.text if isinstance(value, Link) else value
    return ' class="long"' if isinstance(text, str) and len(text) > _SHORT else ""


def _title(column: Column) -> str:
    return f' title="{escape(column.help)}"' if column.help else ""


def _best(column: Column) -> float | None:
    figures = [cell for cell in column.cells if isinstance(cell, int | float) and cell == cell]
    if not column.best or len(figures) < 2:
        return None
    return max(figures) if column.best == "max" else min(figures)


def _text(value: object, column: Column) -> str:
    if value is None or value == "" or value != value:
        return '<span class="nothing" aria-label="unknown">–</span>'
    if isinstance(value, Link):
        return f'<a href="{escape(value.href)}" target="_self">{breakable(value.text)}</a>'
    if isinstance(value, float):
        digits = column.digits if abs(value) < _NO_DIGITS else 0
        value = round(value, digits) + 0.0  # -0.0000 would look like a loss
        return f"{value:{'+' if column.signed else ''},.{digits}f}"
    return f"{value:,}" if isinstance(value, int) else breakable(str(value))
