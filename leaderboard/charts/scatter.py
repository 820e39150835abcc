"""Score against what it costs, or against when it came out, with the names of models beside."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, cast

import altair as alt
import numpy as np
import pandas as pd

from leaderboard.charts.label_places import places
from leaderboard.charts.looks import BLUE, FONT, HEIGHT, ORANGE, WIDTH, Look
from leaderboard.statistics.aggregation import pareto

_Align = Literal["left", "right", "center"]
_DECADES = 2.5  # a logarithmic axis of fewer has three ticks in each, else two
_ROOM = 0.06  # of the range, on either side


def against(
    points: pd.DataFrame,
    look: Look,
    *,
    x: str,
    y: str,
    lower_is_better: bool = True,
    logarithmic: bool = True,
) -> alt.LayerChart | alt.FacetChart:
    """Models as points, those that no other beats in both joined by a line.

    Args:
        points: columns model, score, cost; time stands there as dates.
        look: colours.
        x, y: titles of the axes.
        lower_is_better: of the cost.
        logarithmic: the axis of the cost, where all costs are above 0.
    """
    points = points.sort_values("score", ascending=False, ignore_index=True)
    dated = not pd.api.types.is_numeric_dtype(points["cost"])
    cost = points["cost"].astype("datetime64[ns]").astype("int64") if dated else points["cost"]
    points["front"] = pareto(points["score"], cost, lower_is_better=lower_is_better)
    logarithmic = logarithmic and not dated and bool((cost > 0).all())
    along = pd.Series(np.log(cost) if logarithmic else cost.astype(float), dtype=float)
    low, high = _domain(along)
    bottom, top = _domain(points["score"])
    frame = _Frame(low, high, bottom, top, logarithmic, dated)
    scale = alt.Scale(
        type="utc" if dated else "log" if logarithmic else "linear",
        domain=[frame.cost(0), frame.cost(WIDTH)],
        nice=False,
        zero=False,
    )
    axis = _axis(frame)
    base = alt.Chart(points).encode(
        x=alt.X("cost:T" if dated else "cost:Q", title=x, scale=scale, axis=axis),
        y=alt.Y(
            "score:Q",
            title=y,
            scale=alt.Scale(domain=[bottom, top], nice=False, zero=False),
            axis=alt.Axis(format=".3~f"),
        ),
        tooltip=["model:N", alt.Tooltip("score:Q", format=".4f"), "cost"],
    )
    step: Literal["step-after", "step-before"] = "step-after" if lower_is_better else "step-before"
    front = base.transform_filter("datum.front")
    layers = [
        front.mark_line(interpolate=step, color=ORANGE, strokeWidth=1.5),
        base.transform_filter("!datum.front").mark_circle(size=45, color=BLUE, opacity=1),
        front.mark_point(size=70, color=ORANGE, filled=True, shape="diamond", opacity=1),
        *_names(points, along, frame, look, lower_is_better),
    ]
    return alt.layer(*layers).properties(width=WIDTH, height=HEIGHT)


@dataclass(frozen=True)
class _Frame:
    """The plot's edges: in logarithms or nanoseconds where the axis is of these."""

    low: float
    high: float
    bottom: float
    top: float
    logarithmic: bool
    dated: bool

    def pixels(self, along: float, score: float) -> tuple[float, float]:
        """From the left top corner."""
        right = (along - self.low) / (self.high - self.low)
        return WIDTH * right, HEIGHT * (self.top - score) / (self.top - self.bottom)

    def cost(self, x: float) -> Any:
        """Of a pixel, as the axis has it."""
        along = self.low + x / WIDTH * (self.high - self.low)
        if self.dated:
            return pd.Timestamp(int(along)).isoformat()
        return float(np.exp(along)) if self.logarithmic else along

    def score(self, y: float) -> float:
        """Of a pixel."""
        return self.top - y / HEIGHT * (self.top - self.bottom)


def _names(
    points: pd.DataFrame, along: pd.Series, frame: _Frame, look: Look, lower_is_better: bool
) -> Iterator[alt.Chart]:
    """The names that fit, those of the front before others."""
    order = points.assign(along=along).sort_values(["front", "score"], ascending=False)
    names = [name.rpartition("/")[2] for name in order["model"]]
    pixels = [frame.pixels(*each) for each in zip(order["along"], order["score"], strict=True)]
    front = [each for each, on in zip(pixels, order["front"], strict=True) if on]
    corners = _corners(front, lower_is_better)
    found = places(names, pixels, (WIDTH, HEIGHT), FONT - 1, corners)
    rows = [(names[p.point], p.align, frame.cost(p.x), frame.score(p.y)) for p in found]
    placed = pd.DataFrame(rows, columns=["name", "align", "cost", "score"])
    for align, of_align in placed.groupby("align"):
        yield (
            alt.Chart(of_align)
            .mark_text(
                align=cast("_Align", align), baseline="middle", fontSize=FONT - 1, color=look.ink
            )
            .encode(x="cost:T" if frame.dated else "cost:Q", y="score:Q", text="name:N")
        )


def _domain(values: pd.Series) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    room = (high - low) * _ROOM or abs(high) * _ROOM or 1.0
    return low - room, high + room


def _axis(frame: _Frame) -> alt.Axis:
    if frame.dated:
        return alt.Axis(format="%Y-%m", tickCount=6, labelOverlap="greedy", labelFlush=False)
    # A billion, not a giga.
    short = "replace(format(datum.value, '~s'), 'G', 'B')"
    if not frame.logarithmic:
        return alt.Axis(labelExpr=short, tickCount=6, labelOverlap="greedy", labelFlush=False)
    ends = [exponent / float(np.log(10)) for exponent in (frame.low, frame.high)]
    steps = (1, 2, 5) if ends[1] - ends[0] < _DECADES else (1, 3)
    ticks = [
        step * 10.0**power
        for power in range(int(np.floor(ends[0])), int(np.ceil(ends[1])) + 1)
        for step in steps
        if frame.low <= float(np.log(step * 10.0**power)) <= frame.high
    ]
    return alt.Axis(labelExpr=short, values=ticks, labelOverlap="greedy", grid=False)


def _corners(front: list[tuple[float, float]], lower_is_better: bool) -> list[tuple[float, float]]:
    """Of the line that joins the front: level first where less is better, else upright first."""
    ordered = sorted(front)
    corners = ordered[:1]
    for (left, upper), (right, lower) in pairwise(ordered):
        corners += [(right, upper) if lower_is_better else (left, lower), (right, lower)]
    return corners
