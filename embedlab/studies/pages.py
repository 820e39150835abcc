"""A report as a list of parts, and its two forms: Markdown, and one HTML file that needs nothing
beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from embedlab.resources import DATA
from embedlab.terminal import printable
from leaderboard.tables.table import Column, markdown, rows


@dataclass(frozen=True)
class Heading:
    """A heading; level 1 is the page's."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Points:
    """A list."""

    items: Sequence[str]


@dataclass(frozen=True)
class Shell:
    """Commands that show what stands above them."""

    commands: Sequence[str]


@dataclass(frozen=True)
class Data:
    """A table; `code` are the columns that hold commands."""

    columns: Sequence[Column]
    code: Sequence[str] = ()


@dataclass(frozen=True)
class Picture:
    """A figure: the name of its file, what it shows, and its SVG for a page."""

    name: str
    about: str
    svg: str


Part = Heading | Text | Points | Shell | Data | Picture


def in_markdown(parts: Sequence[Part]) -> str:
    """The report in Markdown; figures are files beside it."""
    return "\n\n".join(map(_markdown, parts)) + "\n"


def _markdown(part: Part) -> str:
    if isinstance(part, Heading):
        return f"{'#' * part.level} {_plain(part.text)}"
    if isinstance(part, Text):
        return _plain(part.text)
    if isinstance(part, Points):
        return "\n".join(f"* {_plain(item)}" for item in part.items)
    if isinstance(part, Shell):
        return "```sh\n" + "\n".join(printable(line) for line in part.commands) + "\n```"
    if isinstance(part, Data):
        return markdown([column for column in part.columns if column.filled])
    return f"![{_plain(part.about)}](figures/{part.name}.svg)"


def _plain(text: str) -> str:
    """Text that no reader of Markdown takes for markup."""
    for sign in "\\`*_<[":
        text = text.replace(sign, f"\\{sign}")
    return printable(text)


def in_html(parts: Sequence[Part], title: str) -> str:
    """The report as one page, light or dark as its reader has it."""
    body = "\n".join(map(_html, parts))
    style = (DATA / "studies" / "report.css").read_text(encoding="utf-8")
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(printable(title))}</title>\n<style>\n{style}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _html(part: Part) -> str:
    if isinstance(part, Heading):
        return f"<h{part.level}>{_escaped(part.text)}</h{part.level}>"
    if isinstance(part, Text):
        return f"<p>{_escaped(part.text)}</p>"
    if isinstance(part, Points):
        return "<ul>" + "".join(f"<li>{_escaped(item)}</li>" for item in part.items) + "</ul>"
    if isinstance(part, Shell):
        return f"<pre><code>{_escaped(chr(10).join(part.commands))}</code></pre>"
    if isinstance(part, Data):
        return _table(part)
    about = _escaped(part.about)
    caption = f"<figcaption>{about}</figcaption>"
    return f'<figure role="img" aria-label="{about}">{part.svg}{caption}</figure>'


def _table(data: Data) -> str:
    columns = [column for column in data.columns if column.filled]
    sides = [' class="figure"' if column.figures else "" for column in columns]
    head = "".join(
        f"<th{side}>{_escaped(column.name)}</th>"
        for column, side in zip(columns, sides, strict=True)
    )
    lines = []
    for cells in rows(columns):
        shown = [
            f"<code>{_escaped(cell)}</code>"
            if cell and column.name in data.code
            else _escaped(cell)
            for column, cell in zip(columns, cells, strict=True)
        ]
        lines.append(
            "".join(f"<td{side}>{cell}</td>" for side, cell in zip(sides, shown, strict=True))
        )
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="wide">{table}</div>'


def _escaped(text: str) -> str:
    return escape(printable(text))
