"""One leaderboard of a site as a value, and the compact form in which a browser reads it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

from leaderboard.tables.table import Column

_NO_DIGITS = 10_000  # `Column.text` shows none from here on


@dataclass(frozen=True)
class Board:
    """A ranking with all that can be shown of it.

    Args:
        title: of the benchmark.
        columns: by name; one cell per row, best first. "model" is among them, and each task.
        sets: columns that are shown together, by the name of the set; the first is the usual one.
        tasks: columns of the table of tasks, one row per task; the first is "task".
        more: what a task's own page says beside these, one cell per task.
        filters: names of columns whose values a reader chooses rows by.
        legend: what the reader must know of the figures.
        command: prints the same ranking.
        coverage: "38 of 67 tasks", where not all have results; else empty.
    """

    title: str
    columns: Mapping[str, Column]
    sets: Mapping[str, Sequence[str]]
    tasks: Sequence[Column]
    more: Sequence[Column] = ()
    filters: Sequence[str] = ()
    legend: Sequence[str] = ()
    command: str = ""
    coverage: str = ""

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.columns["model"].cells)

    @property
    def usual(self) -> list[Column]:
        """The columns of the first set."""
        return [self.columns[name] for name in next(iter(self.sets.values()))]


def packed(board: Board) -> dict[str, Any]:
    """The board as JSON takes it: columns in a list, which sets and filters name by their place.

    Figures are whole numbers, as often as a column has digits ten times too large: what the
    leaderboard shows to four digits is there to four digits, in half the letters.
    """
    kept = {name: column for name, column in board.columns.items() if column.filled}
    place = {name: at for at, name in enumerate(kept)}
    tasks = board.tasks[0].cells
    return {
        "title": board.title,
        "coverage": board.coverage,
        "command": board.command,
        "legend": list(board.legend),
        "rows": board.rows,
        "columns": [
            {**_column(column), **({"id": name} if name != column.name else {})}
            for name, column in kept.items()
        ],
        "parameters": place.get("parameters"),
        "sets": {
            name: [place[each] for each in of_set if each in place]
            for name, of_set in board.sets.items()
        },
        "filters": [place[name] for name in board.filters if name in place],
        "model": place["model"],
        "scores": [place.get(task) for task in tasks],
        "tasks": [_column(column) for column in board.tasks],
        "more": [_column(column) for column in board.more if column.filled],
    }


def _column(column: Column) -> dict[str, Any]:
    """A column without what is not said of it."""
    digits = column.digits if any(isinstance(cell, float) for cell in column.cells) else 0
    said = {
        "digits": digits,
        "figures": column.figures,
        "best": column.best,
        "help": column.help,
        "signed": column.signed,
        "marks": list(column.marks) if any(column.marks) else [],
    }
    return {
        "name": column.name,
        **{name: value for name, value in said.items() if value},
        "cells": [_cell(cell, digits) for cell in column.cells],
    }


def _cell(cell: Any, digits: int) -> Any:
    if isinstance(cell, str) or cell is None:
        return cell
    if not isfinite(cell):
        return None
    return round(round(cell, digits if abs(cell) < _NO_DIGITS else 0) * 10**digits)


def cleaned(column: Column, clean: Callable[[str], str]) -> Column:
    """The column with every text passed through `clean`."""
    cells = [clean(cell) if isinstance(cell, str) else cell for cell in column.cells]
    return replace(column, name=clean(column.name), cells=cells)
