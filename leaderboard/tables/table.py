"""A table as a value: columns of cells, and its forms as Markdown, LaTeX and plain text.

The terminal and the dashboard make their own form of the same columns.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

_NO_DIGITS = 10_000  # from here on, digits after the point say nothing
_MARKDOWN = str.maketrans({character: f"\\{character}" for character in "|<[`"})
_WORDED = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_WORDED |= {"<": "$<$", ">": "$>$", "|": r"\textbar{}", "†": r"$^\dagger$"}
_LATEX = str.maketrans(_WORDED | {character: "\\" + character for character in "&%$#_{}"})


@dataclass(frozen=True)
class Column:
    """A header and one cell per row: a number, a text, or None for an unknown value.

    Args:
        name: the header.
        cells: the values, from the first row on.
        right: texts that hold figures, such as intervals, stand on the right as numbers do.
        digits: of floats after the point.
        best: "max" or "min", the figure to set in bold.
        help: what the header means.
        signed: numbers with a plus sign.
        drop: when a narrow terminal leaves the column out: the highest first, 0 never.
        marks: a sign behind the cell of each row, such as †; none by default.
        of: all cells, where `cells` are those of the first rows alone.
    """

    name: str
    cells: Sequence[Any]
    right: bool = False
    digits: int = 4
    best: str = ""
    help: str = ""
    signed: bool = False
    drop: int = 0
    marks: Sequence[str] = ()
    of: Sequence[Any] = ()

    def first(self, count: int) -> "Column":
        """The column of the first rows alone; its best is that of all."""
        return replace(self, cells=self.cells[:count], marks=self.marks[:count], of=self.cells)

    @property
    def figures(self) -> bool:
        """Whether the cells stand on the right."""
        return self.right or any(isinstance(cell, int | float) for cell in self.cells)

    @property
    def filled(self) -> bool:
        """Whether any cell has a value."""
        return any(cell not in (None, "") for cell in self.cells)

    @property
    def best_value(self) -> float | None:
        """The best of figures that differ; None where none is asked for."""
        values = [
            cell for cell in self.of or self.cells if isinstance(cell, int | float) and cell == cell
        ]
        if not self.best or len(set(values)) < 2:
            return None
        return max(values) if self.best == "max" else min(values)

    def text(self, value: Any) -> str:
        """A cell as text; empty for an unknown value."""
        if value is None or value != value:
            return ""
        if isinstance(value, float):
            digits = self.digits if abs(value) < _NO_DIGITS else 0
            value = round(value, digits) + 0.0  # -0.0000 would look like a loss
            return f"{value:{'+' if self.signed else ''},.{digits}f}"
        return f"{value:,}" if isinstance(value, int) else str(value)


def rows(
    columns: Sequence[Column],
    clean: Callable[[str], str] = str,
    bold: Callable[[str], str] = str,
) -> Iterable[tuple[str, ...]]:
    """The cells of each row as texts, with their marks.

    Args:
        columns: of the table.
        clean: what is done to the text of every cell.
        bold: what is done to a column's best figure afterwards.
    """
    return zip(*(_cells(column, clean, bold) for column in columns), strict=True)


def _cells(
    column: Column, clean: Callable[[str], str], bold: Callable[[str], str]
) -> Iterable[str]:
    best = column.best_value
    marks = column.marks or [""] * len(column.cells)
    for cell, mark in zip(column.cells, marks, strict=True):
        text = clean(column.text(cell))
        yield (bold(text) if best is not None and cell == best else text) + clean(mark)


def markdown(columns: Sequence[Column], legend: Iterable[str] = ()) -> str:
    """The table in Markdown, the lines of the legend as paragraphs below it."""
    lines = [
        [_line(column.name).translate(_MARKDOWN) for column in columns],
        ["---:" if column.figures else "---" for column in columns],
        *rows(columns, lambda text: _line(text).translate(_MARKDOWN), "**{}**".format),
    ]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return "\n".join([table, *(f"\n{_line(line)}" for line in legend)])


def latex(columns: Sequence[Column], legend: Iterable[str] = ()) -> str:
    """A tabular for the package booktabs, the legend as comments."""
    header, *body = [
        " & ".join(cells) + r" \\"
        for cells in [
            [escape_latex(column.name) for column in columns],
            *rows(columns, escape_latex, r"\textbf{{{}}}".format),
        ]
    ]
    sides = "".join("r" if column.figures else "l" for column in columns)
    top, end = [rf"\begin{{tabular}}{{{sides}}}", r"\toprule"], [r"\bottomrule", r"\end{tabular}"]
    return "\n".join(
        [*top, header, r"\midrule", *body, *end, *(f"% {_line(line)}" for line in legend)]
    )


def escape_latex(text: str) -> str:
    """A cell's text, in which nothing is a command to LaTeX."""
    return _line(text).translate(_LATEX)


def _line(text: str) -> str:
    """Text of a cell, which is one line: another would be another row, or code below a comment."""
    return " ".join(text.splitlines())
