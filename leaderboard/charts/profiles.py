"""Models beside each other over several things: lines per task type, and heat maps."""

from typing import Any, Literal

import altair as alt
import pandas as pd

from leaderboard.charts.looks import COLOURS, DASHES, FONT, HEIGHT, SHAPES, WIDTH

MOST_LINES = len(COLOURS)  # beyond, neither colour nor shape tells them apart
_CELL, _SMALL = 34, 14
_WRITTEN = 20  # columns up to which the figures stand in the cells
_NAME = 300


def lines(scores: pd.DataFrame, y: str) -> alt.LayerChart | alt.FacetChart:
    """A line for each model over task types or other groups of tasks.

    Args:
        scores: models by groups, the models in the order of the legend; NaN where one lacks a
            group.
        y: title of the axis.
    """
    models, groups = scores.index.tolist(), scores.columns.tolist()
    tidy = scores.rename_axis("model").reset_index().melt("model", var_name="group", value_name="y")

    def kept(values: list[Any]) -> alt.Scale:
        return alt.Scale(domain=models, range=values[: len(models)])

    legend = alt.Legend(orient="bottom", columns=1, title=None, symbolSize=70, symbolStrokeWidth=0)
    base = alt.Chart(tidy).encode(
        x=alt.X("group:N", sort=groups, title=None, axis=alt.Axis(labelAngle=-30)),
        y=alt.Y("y:Q", title=y, scale=alt.Scale(zero=False)),
        color=alt.Color("model:N", scale=kept([*COLOURS]), legend=legend),
    )
    return alt.layer(
        base.mark_line(strokeWidth=1.5).encode(
            strokeDash=alt.StrokeDash("model:N", scale=kept([*DASHES]), legend=None)
        ),
        base.mark_point(filled=True, size=60, opacity=1).encode(
            shape=alt.Shape("model:N", scale=kept([*SHAPES]), legend=legend),
            tooltip=["model:N", "group:N", alt.Tooltip("y:Q", format=".4f")],
        ),
    ).properties(width=WIDTH, height=HEIGHT)


def heat(values: pd.DataFrame, *, signed: bool = False) -> alt.LayerChart | alt.FacetChart:
    """A figure in every cell, and its colour.

    Args:
        values: rows by columns; NaN for an unknown one.
        signed: from -1 to 1, with 0 in the middle of the colours.
    """
    rows, columns = values.index.tolist(), values.columns.tolist()
    tidy = values.rename_axis("row").reset_index().melt("row", var_name="column", value_name="v")
    tidy = tidy.dropna()
    written = len(columns) <= _WRITTEN
    low, high = (-1.0, 1.0) if signed else (float(tidy["v"].min()), float(tidy["v"].max()))
    tidy["dark"] = (tidy["v"].abs() > 0.8) if signed else (tidy["v"] > low + 0.65 * (high - low))
    scheme: Literal["blueorange", "blues"] = "blueorange" if signed else "blues"
    labels = alt.Axis(
        labelLimit=_NAME, labelOverlap=False, labelFlush=False, domain=False, ticks=False
    )
    base = alt.Chart(tidy).encode(
        x=alt.X("column:N", sort=columns, title=None, axis=_above(-45 if written else -90)),
        y=alt.Y("row:N", sort=rows, title=None, axis=labels),
    )
    # Squares: a browser may draw a gradient of colours without any.
    squares = alt.Legend(title=None, type="symbol", symbolType="square", symbolSize=120)
    key = None if written else squares
    colour = alt.Color("v:Q", scale=alt.Scale(scheme=scheme, domain=[low, high]), legend=key)
    cells = base.mark_rect().encode(
        color=colour, tooltip=["row:N", "column:N", alt.Tooltip("v:Q", format=".4f")]
    )
    figures = base.mark_text(fontSize=FONT - 1).encode(
        text=alt.Text("v:Q", format=".2f"),
        color=alt.condition("datum.dark", alt.value("#ffffff"), alt.value("#111111")),
    )
    step = _CELL if written else _SMALL
    return alt.layer(cells, *([figures] if written else [])).properties(
        width=alt.Step(step), height=alt.Step(step - 12 if written else step)
    )


def _above(angle: int) -> alt.Axis:
    return alt.Axis(
        labelAngle=angle, labelLimit=_NAME, labelOverlap=False, domain=False, ticks=False,
        orient="top",
    )  # fmt: skip
