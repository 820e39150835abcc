"""Cost and quality: any score against any measured cost,
with the Pareto front; latency and throughput.
"""

from typing import Literal

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st

from app import charts, controls, reading
from app.safe_text import plain
from app.tables import Link, table
from leaderboard.charts.looks import BLUE, ORANGE
from leaderboard.statistics.aggregation import pareto
from leaderboard.tables.costs import lower_is_better
from leaderboard.tables.standings import Standings
from leaderboard.tables.table import Column

_LATENCIES = {"latency_p50_ms": "p50", "latency_p95_ms": "p95", "latency_p99_ms": "p99"}
_BARS = 30
_ROW = alt.Y("label:N", sort=None, axis=None)
_MEAN = "Mean"
_NAMED = 12  # points of the front whose names fit into the plot


def page() -> None:
    """The page."""
    controls.require_results()
    parts = controls.pick_tasks()
    standings = _over(parts, _MEAN)
    known = reading.measured_costs(parts)
    if not known:
        controls.empty(
            "No cost has been measured on these tasks; imported results have none.",
            controls.EVALUATE,
        )
        return
    left, middle, right = st.columns([3, 3, 2], vertical_alignment="bottom")
    names = {controls.name_of(cost): cost for cost in known}
    preferred = next(
        (name for name in ("texts_per_second", "encode_seconds") if name in known), known[0]
    )
    cost = names[
        left.selectbox(
            "Cost",
            list(names),
            list(names.values()).index(preferred),
            key="cost",
            bind=controls.URL,
        )
    ]
    scores = [_MEAN, *standings.tasks]
    score = middle.selectbox(
        "Score", scores, _fullest(parts, cost, scores), key="score", bind=controls.URL
    )
    logarithmic = right.toggle("Logarithmic cost", value=True, key="log", bind=controls.URL)
    standings = _over(parts, score)
    points = _points(standings, cost)
    if points.empty:
        controls.empty(
            f"No model has both {score} and {controls.name_of(cost)}.", controls.EVALUATE
        )
        return
    points["front"] = pareto(points["score"], points["cost"], lower_is_better=lower_is_better(cost))
    task = "" if score == _MEAN else score
    points["address"] = controls.run_links(points["model"], task)
    _plot(points, cost, score, logarithmic)
    if standings.notes:
        st.caption(plain(" ".join(standings.notes)))
    best = points[points["front"]].sort_values("score", ascending=False)
    st.header("The Pareto front")
    st.caption("Of these models none is beaten in score without a higher cost.")
    table(
        [
            Column("Model", [*map(Link, best["model"], best["address"])]),
            Column(score, best["score"].tolist(), best="max"),
            Column(
                controls.name_of(cost),
                best["cost"].tolist(),
                digits=2,
                best="min" if lower_is_better(cost) else "max",
            ),
            Column("Kind", best["kind"].tolist()),
        ],
        "Models on the Pareto front",
    )
    _speeds(standings)


def _over(parts: reading.Parts, score: str) -> Standings:
    """The standings over all tasks for the mean, over one task for its score: its costs are then
    those of that task.
    """
    parts = parts if score == _MEAN else tuple(part for part in parts if part[0] == score)
    standings = reading.ranked(parts, "mean")
    if all(row.place is None for row in standings.rows):
        standings = reading.ranked(parts, "mean", incomplete=True)
    return standings


def _fullest(parts: reading.Parts, cost: str, scores: list[str]) -> int:
    """The first score by which two models can be compared: few may have the mean over all tasks."""
    return next(
        (at for at, score in enumerate(scores) if len(_points(_over(parts, score), cost)) > 1), 0
    )


def _points(standings: Standings, cost: str) -> pd.DataFrame:
    rows = [(row.label, row.kind, row.mean, row.costs.get(cost)) for row in standings.rows]
    return pd.DataFrame(rows, columns=["model", "kind", "score", "cost"]).dropna()


def _plot(points: pd.DataFrame, cost: str, score: str, logarithmic: bool) -> None:
    positive = bool((points["cost"] > 0).all())
    kind = {"type": "log"} if logarithmic and positive else {"type": "linear", "zero": False}
    scale = alt.Scale(**kind, nice=False, padding=25)
    better = "lower is better" if lower_is_better(cost) else "higher is better"
    base = alt.Chart(points).encode(
        x=alt.X(
            "cost:Q",
            scale=scale,
            title=f"{controls.name_of(cost)} ({better})",
            axis=alt.Axis(format=",.4~r"),
        ),
        y=alt.Y(
            "score:Q",
            scale=alt.Scale(zero=False, nice=False, padding=20),
            title=score,
            axis=alt.Axis(format=".4~r"),
        ),
        tooltip=[
            alt.Tooltip("model:N"),
            alt.Tooltip("kind:N"),
            alt.Tooltip("score:Q", format=".4f"),
            alt.Tooltip("cost:Q", format=",.2f", title=controls.name_of(cost)),
        ],
        href="address:N",
    )
    front = alt.Chart(points[points["front"]]).encode(x=alt.X("cost:Q", scale=scale), y="score:Q")
    layers = [
        front.mark_line(
            interpolate="step-after" if lower_is_better(cost) else "step-before", color=ORANGE
        ),
        base.transform_filter("!datum.front").mark_circle(size=50, color=BLUE, opacity=0.75),
        base.transform_filter("datum.front").mark_point(
            size=95, color=ORANGE, filled=True, shape="diamond", opacity=1
        ),
    ]
    if points["front"].sum() <= _NAMED:
        along = np.log(points["cost"]) if kind["type"] == "log" else points["cost"]
        # Names point inwards, not over the edge.
        left = along[points["front"]] < (along.min() + along.max()) / 2
        sides: tuple[tuple[pd.Series, Literal["left", "right"], int], ...] = (
            (left, "left", 9),
            (~left, "right", -9),
        )
        for side, align, dx in sides:
            named = alt.Chart(points[points["front"]][side]).encode(
                x=alt.X("cost:Q", scale=scale), y="score:Q"
            )
            layers.append(
                named.mark_text(
                    align=align, dx=dx, dy=-9, fontSize=11, limit=330, color=ORANGE
                ).encode(text="model:N")
            )
    chart = alt.layer(*layers)
    charts.show(
        chart.properties(
            height=420, usermeta={"embedOptions": {"loader": {"target": "_self"}}}
        ).interactive(),
        f"{score} of each model against its {controls.name_of(cost)}",
    )
    st.caption(
        "Diamonds are on the Pareto front. Click a point to see how its scores came about; scroll"
        " to zoom."
    )


def _speeds(standings: Standings) -> None:
    latency = pd.DataFrame(
        [
            (row.label, short, row.costs[cost])
            for row in standings.rows
            for cost, short in _LATENCIES.items()
            if cost in row.costs
        ],
        columns=["label", "percentile", "milliseconds"],
    )
    # The views of one encoding pass share its speed.
    speed = pd.DataFrame(
        [
            (row.label, row.model, row.costs["texts_per_second"])
            for row in standings.rows
            if "texts_per_second" in row.costs
        ],
        columns=["label", "model", "texts per second"],
    ).drop_duplicates(["model", "texts per second"])
    speed["name"] = speed["model"].where(~speed["model"].duplicated(keep=False), speed["label"])
    if not latency.empty:
        st.header("Query latency")
        charts.show(
            _dots(latency[latency["label"].isin(latency["label"].unique()[:_BARS])]),
            "Query latency of each model: median, 95th and 99th percentile",
        )
        _cut(latency["label"].nunique(), "best")
    if not speed.empty:
        st.header("Encoding throughput")
        charts.show(
            _bars(speed.nlargest(_BARS, "texts per second")), "Texts per second of each model"
        )
        _cut(len(speed), "fastest")


def _cut(count: int, which: str) -> None:
    if count > _BARS:
        st.caption(f"The {_BARS} {which} of {count} models.")


def _dots(latency: pd.DataFrame) -> alt.LayerChart | alt.FacetChart:
    order = list(_LATENCIES.values())
    dots = alt.Chart(latency).mark_point(filled=True, size=70, opacity=1).encode(
        x=alt.X("milliseconds:Q", title="milliseconds per query"),
        y=_ROW,
        color=alt.Color("percentile:N", sort=order, legend=alt.Legend(orient="top", title=None)),
        shape=alt.Shape("percentile:N", sort=order),
        tooltip=["label:N", "percentile:N", alt.Tooltip("milliseconds:Q", format=",.2f")],
    )  # fmt: skip
    return _named(dots, latency.drop_duplicates("label"), "label")


def _bars(speed: pd.DataFrame) -> alt.LayerChart | alt.FacetChart:
    bars = (
        alt.Chart(speed)
        .mark_bar(color=BLUE, height=12)
        .encode(
            x=alt.X("texts per second:Q"),
            y=_ROW,
            tooltip=["name:N", alt.Tooltip("texts per second:Q", format=",.1f")],
        )
    )
    return _named(bars, speed, "name")


def _named(marks: alt.Chart, rows: pd.DataFrame, name: str) -> alt.LayerChart | alt.FacetChart:
    """Names above the rows: beside them they would leave a phone no room for the plot."""
    names = alt.Chart(rows).mark_text(
        align="left", dy=-14, fontSize=11, color=charts.ink(), limit=600
    )
    return alt.layer(marks, names.encode(x=alt.value(0), y=_ROW, text=f"{name}:N")).properties(
        height=alt.Step(36)
    )
