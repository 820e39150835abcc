"""What people see: the one place where text of corpora, models and servers meets a terminal."""

import re
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

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
    every name whole.
    """
    from rich.table import Table

    from leaderboard.tables.table import rows

    columns = [column for column in columns if column.filled]
    if not columns:
        return
    table = Table()
    for column in columns:
        table.add_column(
            column.name, justify="right" if column.figures else "left", overflow="fold"
        )
    for cells in rows(columns):
        table.add_row(*cells)
    screen = console()
    if not screen.is_terminal:
        screen.width = max(
            screen.width,
            screen.measure(table, options=screen.options.update(max_width=1 << 20)).maximum,
        )
    screen.print(table)
