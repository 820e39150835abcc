"""Heat maps as HTML tables: they scroll, wrap, and can be read aloud,
however many rows and columns they have.
"""

from collections.abc import Sequence
from html import escape

import streamlit as st

from app.safe_text import breakable

_SHORT = 12  # characters of a label that needs no room of its own
_STEPS = 24  # colours, in style.css
# Columns up to which the figures stand in the cells; beyond, they show when pointed at.
_WRITTEN = 14


def heat_map(
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float | None]],
    caption: str,
    *,
    by_column: bool = False,
) -> None:
    """Show a heat map.

    Args:
        rows, columns: labels.
        values: one list per row; None where there is none.
        caption: what it holds, for screen readers.
        by_column: colours run from each column's lowest to its highest figure, not over all
            figures.
    """
    st.html(render(rows, columns, values, caption, by_column=by_column))


def render(
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float | None]],
    caption: str,
    *,
    by_column: bool = False,
) -> str:
    """The heat map as HTML, with its key."""
    of_column = [_bounds(column) for column in zip(*values, strict=True)]
    bounds = (
        of_column
        if by_column
        else [_bounds([cell for row in values for cell in row])] * len(columns)
    )
    compact = len(columns) > _WRITTEN
    header = "".join(
        f'<th scope="col"{_class(name)}><span>{breakable(name)}</span></th>' for name in columns
    )
    body = []
    for label, row in zip(rows, values, strict=True):
        cells = "".join(
            _cell(value, low, high, name if compact else "")
            for value, (low, high), name in zip(row, bounds, columns, strict=True)
        )
        body.append(f'<tr><th scope="row"{_class(label)}>{breakable(label)}</th>{cells}</tr>')
    return (
        f'<div class="lab-table lab-heat{" compact" if compact else ""}" role="region" tabindex="0"'
        f' aria-label="{escape(caption)}"><table><caption>{escape(caption)}</caption>'
        f"<thead><tr><td></td>{header}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
        + _key(
            ("lowest of its column", "highest")
            if by_column
            else [f"{bound:.4f}" for bound in bounds[0]]
        )
    )


def _class(label: str) -> str:
    return ' class="long"' if len(label) > _SHORT else ""


def _cell(value: float | None, low: float, high: float, name: str) -> str:
    if value is None:
        return "<td></td>"
    step = round((_STEPS - 1) * (value - low) / (high - low)) if high > low else _STEPS - 1
    title = f' title="{escape(name)}: {value:.4f}"' if name else ""
    return f'<td class="h{step}"{title}>{value:.4f}</td>'


def _bounds(values: Sequence[float | None]) -> tuple[float, float]:
    known = [value for value in values if value is not None]
    return (min(known), max(known)) if known else (0.0, 0.0)


def _key(ends: Sequence[str]) -> str:
    return f'<div class="lab-key" aria-hidden="true">{ends[0]}<span></span>{ends[1]}</div>'
