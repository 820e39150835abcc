"""Cost and quality: any score against any measured cost, with the Pareto front; latency and throughput."""

import altair as alt
import pandas as pd
import streamlit as st

from app import controls, reading
from app.charts import BLUE, ORANGE
from app.tables import Column, Link, table
from leaderboard.costs import lower_is_better
from leaderboard.ranking import pareto
from leaderboard.standings import Standings

_LATENCIES = {"latency_p50_ms": "p50", "latency_p95_ms": "p95", "latency_p99_ms": "p99"}
_BARS = 30


def page() -> None:
    """The page."""
    controls.require_results()
    standings = reading.ranked(controls.pick_tasks(), "mean", incomplete=True, over="none")
    known = sorted({cost for row in standings.rows for cost in row.costs})
    if not known:
        controls.empty("No cost has been measured on these tasks; imported results have none.", controls.EVALUATE)
        return
    left, middle, right = st.columns([3, 3, 2], vertical_alignment="bottom")
    names = {controls.name_of(cost): cost for cost in known}
    preferred = next((name for name in ("texts_per_second", "encode_seconds") if name in known), known[0])
    cost = names[
        left.selectbox("Cost", list(names), list(names.values()).index(preferred), key="cost", bind=controls.URL)
    ]
    score = middle.selectbox("Score", ["Mean", *standings.tasks], key="score", bind=controls.URL)
    logarithmic = right.toggle("Logarithmic cost", value=True, key="log", bind=controls.URL)
    points = _points(standings, cost, score)
    if points.empty:
        controls.empty(f"No model has both {score} and {controls.name_of(cost)}.", controls.EVALUATE)
        return
    _plot(points, cost, score, logarithmic)
    best = points[points["front"]].sort_values("score", ascending=False)
    st.subheader("The Pareto front")
    st.caption("Of these models none is beaten in score without a higher cost.")
    table(
        [
            Column("Model", [Link(label, controls.run_link(label)) for label in best["model"]]),
            Column(score, best["score"].tolist(), best="max"),
            Column(controls.name_of(cost), best["cost"].tolist(), digits=2,
                   best="min" if lower_is_better(cost) else "max"),
            Column("Kind", best["kind"].tolist()),
        ],
        "Models on the Pareto front",
    )  # fmt: skip
    _speeds(standings)


def _points(standings: Standings, cost: str, score: str) -> pd.DataFrame:
    rows = [
        (row.label, row.kind, row.mean if score == "Mean" else row.scores.get(score), row.costs.get(cost))
        for row in standings.rows
    ]
    points = pd.DataFrame(rows, columns=["model", "kind", "score", "cost"]).dropna()
    front = pareto(points["score"], points["cost"], lower_is_better=lower_is_better(cost))
    return points.assign(front=front, address=[controls.run_link(label) for label in points["model"]])


def _plot(points: pd.DataFrame, cost: str, score: str, logarithmic: bool) -> None:
    positive = bool((points["cost"] > 0).all())
    kind = {"type": "log"} if logarithmic and positive else {"type": "linear", "zero": False}
    scale = alt.Scale(**kind, nice=False, padding=25)
    better = "lower is better" if lower_is_better(cost) else "higher is better"
    base = alt.Chart(points).encode(
        x=alt.X("cost:Q", scale=scale, title=f"{controls.name_of(cost)} ({better})"),
        y=alt.Y("score:Q", scale=alt.Scale(zero=False), title=score),
        tooltip=[alt.Tooltip("model:N"), alt.Tooltip("score:Q", format=".4f"), alt.Tooltip("cost:Q", format=",.2f")],
        href="address:N",
    )
    # The front lies at the left where less is better, else at the right: its names point inwards.
    side = {"align": "left", "dx": 9} if lower_is_better(cost) else {"align": "right", "dx": -9}
    front = alt.Chart(points[points["front"]]).encode(x=alt.X("cost:Q", scale=scale), y="score:Q")
    chart = alt.layer(
        front.mark_line(interpolate="step-after" if lower_is_better(cost) else "step-before", color=ORANGE),
        base.transform_filter("!datum.front").mark_circle(size=50, color=BLUE, opacity=0.75),
        base.transform_filter("datum.front").mark_point(size=95, color=ORANGE, filled=True, shape="diamond"),
        front.transform_filter("datum.front").mark_text(**side, dy=-7, fontSize=11, limit=260).encode(
            text="model:N", color=alt.value(ORANGE)
        ) if points["front"].sum() <= 12 else front.mark_point(opacity=0),
    )  # fmt: skip
    st.altair_chart(
        chart.properties(height=420, usermeta={"embedOptions": {"loader": {"target": "_self"}}}).interactive()
    )
    st.caption("Diamonds are on the Pareto front. Click a point to see how its scores came about; scroll to zoom.")


def _speeds(standings: Standings) -> None:
    latency = pd.DataFrame(
        [
            (row.label, short, row.costs[cost])
            for row in standings.rows
            for cost, short in _LATENCIES.items()
            if cost in row.costs
        ],
        columns=["model", "percentile", "milliseconds"],
    )
    speed = pd.DataFrame(
        [(row.label, row.costs["texts_per_second"]) for row in standings.rows if "texts_per_second" in row.costs],
        columns=["model", "texts per second"],
    )
    left, right = st.columns(2)
    if not latency.empty:
        with left:
            st.subheader("Query latency")
            st.altair_chart(_dots(latency[latency["model"].isin(latency["model"].unique()[:_BARS])]))
    if not speed.empty:
        with right:
            st.subheader("Encoding throughput")
            bars = alt.Chart(speed.nlargest(_BARS, "texts per second")).mark_bar(color=BLUE)
            st.altair_chart(bars.encode(x="texts per second:Q", y=alt.Y("model:N", sort="-x", title=None)))
    if max(len(speed), latency["model"].nunique()) > _BARS:
        st.caption(f"{_BARS} models of each.")


def _dots(latency: pd.DataFrame) -> alt.Chart:
    return alt.Chart(latency).mark_point(filled=True, size=70, opacity=1).encode(
        x=alt.X("milliseconds:Q", title="milliseconds per query"),
        y=alt.Y("model:N", sort=None, title=None),
        color=alt.Color("percentile:N", sort=list(_LATENCIES.values()), legend=alt.Legend(orient="bottom", title=None)),
        shape=alt.Shape("percentile:N", sort=list(_LATENCIES.values())),
        tooltip=["model:N", "percentile:N", alt.Tooltip("milliseconds:Q", format=",.2f")],
    )  # fmt: skip
