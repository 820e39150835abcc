"""Tables as plain HTML: real header cells for screen readers,
figures on the right, the best in bold.

Everything that comes from a user passes `html.escape`.
"""

from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple
from urllib.parse import urlsplit

import streamlit as st

from app.safe_text import breakable
from leaderboard.tables.table import Column

_SHORT = 40  # characters that stand on one line
_HALF = 20  # characters of a name and a value that stand beside another one on a phone


class Link(NamedTuple):
    """A cell that leads to another view of the dashboard, where `href` is made by `link`, or to a
    page of the web, which opens beside it.
    """

    text: str
    href: str


def web_link(value: object) -> Link | None:
    """An address of the web as a link to it, named by host and path; None of anything else."""
    if not isinstance(value, str) or not value.startswith(("https://", "http://")):
        return None
    return Link(urlsplit(value).netloc + urlsplit(value).path.rstrip("/"), value)


class Order(NamedTuple):
    """By which column a table is sorted, and the address that sorts it by another one."""

    by: str
    descending: bool
    address: Callable[[str], str]


def table(
    columns: Sequence[Column], caption: str, *, order: Order | None = None, cards: bool = False
) -> None:
    """Show a table.

    Args:
        columns: those without any value are left out.
        caption: says to screen readers what it holds.
        order: how it is sorted; headers then sort by a click.
        cards: on a phone each row is a card of its own.
    """
    filled = [column for column in columns if column.filled]
    st.html(render(filled, caption, order=order, cards=cards))


def render(
    columns: Sequence[Column], caption: str, *, order: Order | None = None, cards: bool = False
) -> str:
    """The table as HTML. The first column heads the rows."""
    header = "".join(_header(column, order, cards) for column in columns)
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
            label = ""
            if cards:
                # What is laid out as a card is no table to a screen reader without roles.
                role = "rowheader" if at == 0 else "cell"
                label = f' role="{role}" data-label="{escape(column.name)}"'
                # More than half of a phone's width.
                if len(column.name) + len(column.text(getattr(value, "text", value))) > _HALF:
                    label += " data-wide"
            cells.append(f"<{tag}{label}{_class(column, value)}>{text}</{tag[:2]}>")
        body.append(f"<tr{_role('row', cards)}>{''.join(cells)}</tr>")
    group = _role("rowgroup", cards)
    return (
        f'<div class="lab-table{" cards" if cards else ""}" role="region" tabindex="0"'
        f' aria-label="{escape(caption)}"><table{_role("table", cards)}>'
        f"<caption>{escape(caption)}</caption><thead{group}><tr{_role('row', cards)}>{header}</tr>"
        f"</thead><tbody{group}>{''.join(body)}</tbody></table></div>"
    )


def _header(column: Column, order: Order | None, cards: bool) -> str:
    name, sorted_by = breakable(column.name), ""
    if order:
        if here := column.name == order.by:
            sorted_by = f' aria-sort="{"descending" if order.descending else "ascending"}"'
        arrow = ("\u202f\u25be" if order.descending else "\u202f\u25b4") if here else ""
        address = escape(order.address(column.name))
        name = f'<a class="sort" href="{address}" target="_self">{name}{arrow}</a>'
    role = _role("columnheader", cards)
    return f'<th scope="col"{role}{sorted_by}{_class(column)}{_title(column)}>{name}</th>'


def _role(name: str, wanted: bool) -> str:
    return f' role="{name}"' if wanted else ""


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
        web = value.href.startswith(("https://", "http://"))
        where = 'target="_blank" rel="noopener noreferrer"' if web else 'target="_self"'
        return f'<a href="{escape(value.href)}" {where}>{breakable(value.text)}</a>'
    return column.text(value) if isinstance(value, int | float) else breakable(str(value))
