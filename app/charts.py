"""Altair charts that several pages draw, in colours that everyone can tell apart."""

import altair as alt
import pandas as pd

SEQUENTIAL = "cividis"  # rises evenly in lightness, for every kind of colour vision
BLUE, ORANGE = "#2E8FD0", "#E69F00"  # seen on light and on dark


def heat_map(
    cells: pd.DataFrame, x: str, y: str, *, x_title: str, y_title: str, x_order: list | None = None, values: bool = True
) -> alt.LayerChart:
    """A heat map of the column `score` (one row per cell, in the order to show); `values` writes the figures in."""
    angle = -40 if cells[x].nunique() > 5 else 0
    base = alt.Chart(cells).encode(
        x=alt.X(f"{x}:N", sort=x_order, title=x_title, axis=alt.Axis(labelAngle=angle, labelLimit=160)),
        y=alt.Y(f"{y}:N", sort=None, title=None, axis=alt.Axis(labelLimit=260, labelOverlap=False)),
        tooltip=[alt.Tooltip(f"{y}:N", title=y_title), alt.Tooltip(f"{x}:N", title=x_title),
                 alt.Tooltip("score:Q", format=".4f", title="score")],
    )  # fmt: skip
    colour = alt.Color("score:Q", scale=alt.Scale(scheme=SEQUENTIAL), legend=alt.Legend(title="score", format=".2f"))
    rectangles = base.mark_rect().encode(color=colour)
    middle = (cells["score"].min() + cells["score"].max()) / 2
    figures = base.mark_text(fontSize=11).encode(
        text=alt.Text("score:Q", format=".4f"),
        color=alt.condition(f"datum.score > {middle}", alt.value("#16202A"), alt.value("#FFFFFF")),
    )
    height = 26 * cells[y].nunique() + (150 if angle else 70)  # with the axis below
    return (rectangles + figures if values else alt.layer(rectangles)).properties(height=height)
