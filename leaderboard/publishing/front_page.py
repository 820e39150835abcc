"""The site's one page: the first leaderboard's table, readable without scripts, and what the script
needs to know.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from leaderboard.plain_json import to_json
from leaderboard.publishing.boards import Board
from leaderboard.tables.table import rows

STATIC = Path(__file__).parent / "static"
_FIRST = 100  # rows that stand there without scripts


@dataclass(frozen=True)
class Site:
    """What is said of all leaderboards together.

    title: the heading.
    version: of embedlab.
    about: a paragraph each: when, from what, by which command.
    """

    title: str
    version: str
    about: Sequence[str]


def html(
    site: Site, first: Board, entries: Sequence[Mapping[str, Any]], css: str, scripts: Sequence[str]
) -> str:
    """The page.

    Args:
        site: its heading and how it was made.
        first: the leaderboard that it opens with.
        entries: of each leaderboard "title", "coverage", "rows", "tasks", and where its "data"
            and "csv" lie.
        css, scripts: where the style and the scripts lie.
    """
    files = "".join(
        f'<li><a href="{escape(entry["csv"])}">{escape(entry["title"])}</a></li>'
        for entry in entries
    )
    about = "\n".join(f"<p>{escape(line)}</p>" for line in site.about)
    return Template((STATIC / "page.html").read_text(encoding="utf-8")).substitute(
        title=escape(site.title),
        version=escape(site.version),
        css=css,
        scripts="\n".join(f'<script src="{script}" defer></script>' for script in scripts),
        table=_table(first),
        about=f"{about}\n<p>All leaderboards as CSV:</p>\n<ul>{files}</ul>",
        # Whatever a name holds, it does not end the script element.
        data=to_json({"boards": entries}, ascii=True).replace("<", "\\u003c"),
    )


def _table(board: Board) -> str:
    columns = [column for column in board.usual if column.filled]
    head = "".join(f'<th scope="col"{_side(c.figures)}>{escape(c.name)}</th>' for c in columns)
    model = columns.index(board.columns["model"])
    body = "\n".join(
        "<tr>"
        + "".join(
            f'<th scope="row">{escape(cell)}</th>'
            if at == model
            else f'<td{_side(columns[at].figures)} data-label="{escape(columns[at].name)}">'
            f"{escape(cell)}</td>"
            for at, cell in enumerate(cells)
        )
        + "</tr>"
        for cells in rows([column.first(_FIRST) for column in columns])
    )
    title = escape(", ".join(filter(None, (board.title, board.coverage))))
    legend = "".join(f"<p>{escape(line)}</p>" for line in board.legend)
    return (
        f'<h2>{title}</h2>\n<div class="wide" tabindex="0" role="region" aria-label="{title}">\n'
        f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n</div>\n"
        f'<div class="legend">{legend}</div>\n<p>The first {_FIRST} rows of the first'
        " leaderboard; the CSV files below have all. Searching and sorting need JavaScript.</p>"
    )


def _side(figures: bool) -> str:
    return ' class="figure"' if figures else ""
