"""The figures of a report, drawn with matplotlib, as SVG and PNG."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO, StringIO
from itertools import cycle
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from leaderboard.atomic_files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#1f2933"  # of all that is no data; in a page it takes the colour of the text
# Told apart by colour-blind readers, on light and on dark ground (Paul Tol's "bright").
COLOURS = ("#4477AA", "#EE6677", "#228833", "#CCBB44", "#66CCEE", "#AA3377", "#999999")
_COLUMNS = 3


@dataclass(frozen=True)
class Interval:
    """A line of a forest plot; low and high are None where nothing was tested."""

    label: str
    middle: float
    low: float | None
    high: float | None
    bold: bool = False


@dataclass(frozen=True)
class Line:
    """A line of a panel: its name in the legend, and its points."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True)
class Panel:
    """A small plot among others."""

    title: str
    lines: Sequence[Line]


def available() -> bool:
    """Whether matplotlib is installed."""
    from importlib.util import find_spec

    return find_spec("matplotlib") is not None


def forest(intervals: Sequence[Interval], title: str) -> "Figure":
    """Differences with their intervals, one below the other, and where 0 is."""
    figure, (axes,) = _figure(1, 1, 7.5, 0.9 + 0.27 * len(intervals))
    for place, each in enumerate(intervals):
        colour = COLOURS[0] if each.bold else COLOURS[6]
        if each.low is not None and each.high is not None:
            axes.plot(
                [each.low, each.high], [place, place], color=colour, lw=2.2 if each.bold else 1.4
            )
        axes.plot([each.middle], [place], "o", color=colour, ms=6 if each.bold else 4)
    axes.axvline(0, color=INK, lw=0.8, ls=":")
    axes.set_yticks(range(len(intervals)), [each.label for each in intervals], fontsize=8)
    axes.set_ylim(len(intervals) - 0.5, -0.5)
    axes.set_title(title, fontsize=9, color=INK, loc="left")
    axes.grid(axis="x", alpha=0.25)
    return figure


def panels(
    found: Sequence[Panel], x: str, y: str, *, logarithmic: bool = False, marks: bool = False
) -> "Figure":
    """Small plots side by side, of one scale each, with the axes' names."""
    columns = min(_COLUMNS, len(found))
    rows = ceil(len(found) / columns)
    figure, every = _figure(rows, columns, 2.9 * columns + 0.6, 2.4 * rows + 0.3)
    for axes, panel in zip(every, found, strict=False):
        for line, colour in zip(panel.lines, cycle(COLOURS), strict=False):
            style = "o-" if marks else "-"
            axes.plot(line.x, line.y, style, color=colour, lw=1.4, ms=3.5, label=line.name)
        if logarithmic:
            axes.set_xscale("log", base=2)
            ticks = sorted({value for line in panel.lines for value in line.x})
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            axes.minorticks_off()
        axes.set_title(panel.title, fontsize=8.5, color=INK, loc="left")
        axes.set_xlabel(x, fontsize=8)
        axes.set_ylabel(y, fontsize=8)
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.25)
        if any(line.name for line in panel.lines):
            axes.legend(fontsize=7, frameon=False, labelcolor=INK)
    for axes in every[len(found) :]:
        axes.set_visible(False)
    return figure


def save(figure: "Figure", folder: Path, name: str) -> str:
    """Write NAME.svg and NAME.png, and give the SVG for a page: without ground, in the colour of
    the page's text.
    """
    from matplotlib import rc_context

    folder.mkdir(parents=True, exist_ok=True)
    text, picture = StringIO(), BytesIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    figure.savefig(picture, format="png", dpi=160, facecolor="white")
    drawn = text.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    with atomic_write(folder / f"{name}.svg") as file:
        whole = drawn.replace("<svg ", '<svg style="background:#ffffff" ', 1)
        file.write_text(whole, encoding="utf-8")
    with atomic_write(folder / f"{name}.png") as file:
        file.write_bytes(picture.getvalue())
    return drawn.replace(INK, "currentColor")


def _figure(rows: int, columns: int, width: float, height: float) -> "tuple[Figure, list[Axes]]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    every = [figure.add_subplot(rows, columns, place + 1) for place in range(rows * columns)]
    for axes in every:
        axes.tick_params(colors=INK)
        axes.xaxis.label.set_color(INK)
        axes.yaxis.label.set_color(INK)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        for side in ("left", "bottom"):
            axes.spines[side].set_color(INK)
    return figure, every


def curve(points: Iterable[tuple[float, float]], name: str = "") -> Line:
    """A line through points, from left to right."""
    ordered = sorted(points)
    return Line(name, [x for x, _ in ordered], [y for _, y in ordered])
