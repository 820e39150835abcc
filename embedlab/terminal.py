"""What people see: the one place where text of corpora, models and servers meets a terminal."""

import re
import sys
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console
    from rich.table import Table

    from leaderboard.tables.table import Column

WIDTH = 200  # characters, where the output is no terminal

# Control characters but tab and newline, those that turn the direction of a line,
# and halves of surrogate pairs.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: object) -> str:
    """The text with every character that could act on a terminal as its escape:
    ESC becomes the four letters \\x1b.
    """
    return _CONTROLS.sub(lambda match: _escape(ord(match[0])), str(text))


def _escape(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def replaced(text: str) -> str:
    """The text, as long as before, with a replacement sign for every such character."""
    return _CONTROLS.sub("\ufffd", text)


def in_json(text: str) -> str:
    """JSON with the same characters as JSON writes them, \\u001b."""
    return _CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def echo(text: object, *, err: bool = False) -> None:
    """Print a line of text that may hold anything."""
    print(printable(text), file=sys.stderr if err else sys.stdout)


def console(*, stderr: bool = False) -> "Console":
    """A console on which text is text: no markup, no emoji codes,
    no escape sequences but rich's own.
    """
    from rich.console import Console
    from rich.text import Text

    class PlainConsole(Console):
        def render_str(self, text: str, **options: Any) -> "Text":
            return super().render_str(printable(text), **options)

    width = None if (sys.stderr if stderr else sys.stdout).isatty() else WIDTH
    return PlainConsole(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)


def print_table(columns: "Sequence[Column]") -> None:
    """Print a table in which text is text; columns without any content are left out.

    Where the output is no terminal, it is as wide as its content: a program that reads it finds
    every name whole. On a terminal that is too narrow, columns are left out by their `drop`, and
    said below; what has spaces wraps at them, and no name is broken.
    """
    from leaderboard.tables.table import rows

    columns = [column for column in columns if column.filled]
    if not columns:
        return
    screen = console()
    texts = [[_plain(cell) for cell in cells] for cells in zip(*rows(columns), strict=True)]
    lines = [[_plain(each.name), *cells] for each, cells in zip(columns, texts, strict=True)]
    if not screen.is_terminal:
        screen.width = max(screen.width, _total(map(_longest, lines)))
    columns, dropped = list(columns), []
    while _total(map(_longest, lines)) > screen.width and any(each.drop for each in columns):
        at = max(range(len(columns)), key=lambda place: (columns[place].drop, place))
        dropped.append(columns[at].name)
        del columns[at], lines[at]
    screen.width = max(screen.width, _total(map(_longest_word, lines)))
    screen.print(_table(columns, lines, screen.width))
    if dropped:
        echo(f"Too wide for this terminal: {', '.join(reversed(dropped))}.")


def _plain(text: str) -> str:
    return printable(text).replace("\t", " ")


def _table(columns: "Sequence[Column]", lines: "Sequence[Sequence[str]]", width: int) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for column, cells, wide in zip(columns, lines, _widths(lines, width), strict=True):
        side: Literal["left", "right"] = "right" if column.figures else "left"
        table.add_column(Text(cells[0]), justify=side, width=wide, overflow="fold")
    bests = [column.best_value for column in columns]
    for row, cells in enumerate(zip(*lines, strict=True)):
        if row:
            styles = (
                "bold" if best is not None and column.cells[row - 1] == best else ""
                for best, column in zip(bests, columns, strict=True)
            )
            table.add_row(*map(Text, cells, styles))
    return table


def _widths(lines: "Sequence[Sequence[str]]", width: int) -> list[int]:
    """Of each column: its longest word, and a fair share of what is left up to its longest line."""
    widths, wanted = [_longest_word(each) for each in lines], [_longest(each) for each in lines]
    left = width - _total(widths)
    order = sorted(range(len(lines)), key=lambda at: wanted[at] - widths[at])
    for place, at in enumerate(order):
        more = min(wanted[at] - widths[at], left // (len(order) - place))
        widths[at] += more
        left -= more
    return widths


def _total(widths: "Iterable[int]") -> int:
    """Of a table with columns of these widths: each has a line and two spaces beside it."""
    return sum(width + 3 for width in widths) + 1


def _longest(cells: "Sequence[str]") -> int:
    from rich.cells import cell_len

    return max(cell_len(line) for cell in cells for line in cell.split("\n"))


def _longest_word(cells: "Sequence[str]") -> int:
    return _longest([word for cell in cells for word in cell.split() or [""]])
