"""Colours, sizes and shapes of figures; everyone can tell them apart, on paper too."""

from dataclasses import dataclass, replace
from typing import Any

import altair as alt

# Okabe and Ito's palette (jfly.uni-koeln.de/color), without black and yellow, which one ground or
# the other swallows.
COLOURS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C8C8C"]
SHAPES = ["circle", "square", "diamond", "triangle-up", "cross", "triangle-down", "triangle-right"]
DASHES = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [4, 2], [1, 3], [10, 4]]
BLUE, ORANGE, GREY = "#2E8FD0", "#E69F00", "#888888"
FONT = 11  # at a width of 480 about 8 points in a column of 9 cm
WIDTH, HEIGHT = 480, 320


@dataclass(frozen=True)
class Look:
    """ink: of texts and axes; faint: of grids; ground: behind all."""

    ink: str
    faint: str
    ground: str


LOOKS = {
    "light": Look("#1f2933", "#dde1e6", "#ffffff"),
    "dark": Look("#e6e9ed", "#3a4048", "#0e1117"),
}


def of_page(dark: bool) -> Look:
    """On the page's own ground."""
    return replace(LOOKS["dark" if dark else "light"], ground="transparent")


def finished(chart: Any, look: Look, title: str = "") -> Any:
    """The chart, an `altair.Chart` or several, with its colours and its title."""
    text = {"labelColor": look.ink, "titleColor": look.ink, "labelFontSize": FONT}
    text |= {"titleFontSize": FONT, "titleFontWeight": "normal"}
    lines = {"gridColor": look.faint, "domainColor": look.ink, "tickColor": look.ink}
    config = {
        "background": look.ground,
        "font": "Helvetica, Arial, sans-serif",
        "axis": text | lines | {"labelLimit": 400},
        "legend": text | {"labelLimit": 260},
        "header": {"labelColor": look.ink, "titleColor": look.ink},
        "title": {"color": look.ink, "subtitleColor": look.ink, "fontSize": FONT + 2},
        "view": {"stroke": None},
        "padding": 8,
    }
    named = chart.properties(title=alt.Title(title, anchor="start", limit=900)) if title else chart
    return named.configure(**config)
