"""Points with the bounds between which they lie: differences of models, and ranks."""

from typing import Any

import altair as alt
import pandas as pd

from leaderboard.charts.looks import BLUE, GREY, ORANGE, WIDTH

_ROW = 22
_NAME = 420  # pixels of a label


def forest(rows: pd.DataFrame, level: float) -> alt.LayerChart | alt.FacetChart:
    """Differences, one below the other, with their intervals and where 0 is.

    Args:
        rows: columns label, difference, low, high, p; the last three NaN where nothing was tested;
            pair where there are several, each of which has a part of the figure.
        level: of the intervals; a p of 1 - level or less counts as surely different.
    """
    rows = rows.assign(sure=rows["p"] <= 1 - level)
    base = alt.Chart(rows).encode(y=_labels())
    colour: Any = alt.Color(
        "sure:N", legend=None, scale=alt.Scale(domain=[True, False], range=[BLUE, ORANGE])
    )
    shape = alt.Shape(
        "sure:N", legend=None, scale=alt.Scale(domain=[True, False], range=["circle", "square"])
    )
    zero = alt.Chart(rows).mark_rule(strokeDash=[4, 3], color=GREY)
    line = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=2)
    title = f"difference, with {level:.0%} interval"
    scale = alt.Scale(padding=15)
    axis = alt.Axis(labelFlush=False, labelOverlap="greedy", tickCount=7)
    chart = alt.layer(
        zero.encode(x=alt.datum(0)),
        line.encode(
            x=alt.X("low:Q", title=title, scale=scale, axis=axis), x2="high:Q", color=colour
        ),
        base.mark_point(filled=True, size=60, opacity=1).encode(
            x=alt.X("difference:Q", title=title, scale=scale, axis=axis),
            color=colour,
            shape=shape,
            tooltip=[
                "label:N",
                *(alt.Tooltip(f"{n}:Q", format="+.4f") for n in ("difference", "low", "high")),
                alt.Tooltip("p:Q", format=".4f", title="corrected p"),
            ],
        ),
    ).properties(width=WIDTH - 120, height=alt.Step(_ROW))
    if "pair" not in rows or rows["pair"].nunique() < 2:
        return chart
    header = alt.Header(labelAngle=0, labelAlign="left", labelOrient="top", labelLimit=700)
    return chart.facet(row=alt.Row("pair:N", sort=None, title=None, header=header))


def ranks(rows: pd.DataFrame, level: float) -> alt.LayerChart | alt.FacetChart:
    """Which ranks each model may have.

    Args:
        rows: columns label, place, low, high (the best and the worst rank); best first.
        level: of the intervals.
    """
    base = alt.Chart(rows).encode(y=_labels())
    last = int(rows["high"].max())
    left = alt.X(
        "left:Q",
        title=f"rank, with {level:.0%} interval",
        scale=alt.Scale(domain=[0.5, last + 0.5], nice=False),
        axis=alt.Axis(format="d", values=_ticks(last)),
    )
    tooltip = ["label:N", "place:Q", "low:Q", "high:Q"]
    bar = base.transform_calculate(left="datum.low - 0.25", right="datum.high + 0.25")
    return alt.layer(
        bar.mark_bar(height=9, color=BLUE, opacity=0.45, cornerRadius=3).encode(
            x=left, x2="right:Q", tooltip=tooltip
        ),
        base.mark_point(filled=True, size=45, color=ORANGE, shape="diamond", opacity=1).encode(
            x="place:Q", tooltip=tooltip
        ),
    ).properties(width=WIDTH - 120, height=alt.Step(_ROW - 4))


def _labels() -> alt.Y:
    axis = alt.Axis(labelLimit=_NAME, labelOverlap=False, labelFlush=False)
    return alt.Y("label:N", sort=None, title=None, axis=axis)


def _ticks(last: int) -> list[int]:
    step = max(1, -(-last // 10))
    return [1, *(rank for rank in range(step, last + 1, step) if rank > 1)]
