"""Grids: how a model's score depends on layer and dimensions, and on precision and index."""

from html import escape

import altair as alt
import pandas as pd
import streamlit as st

from app import charts, controls, reading
from app.heat import heat_map
from app.safe_text import link, plain
from app.tables import table
from leaderboard.tables.grids import Grid
from leaderboard.tables.table import Column

_MEAN = "Mean over all tasks"
_COMMAND = (
    "embedlab eval --model MODEL --task SciFact --layers 2,4,6 --dims 32,64,128 --precision"
    " float32,int8,binary"
)


def page() -> None:
    """The page."""
    controls.require_results()
    parts = controls.pick_tasks(grids=True)
    views = reading.all_views(parts)
    counts = views.table["model"].value_counts()
    elastic = sorted(counts[counts > 1].index)
    if not elastic:
        controls.empty(
            "No model has results for more than one layer, dimension, precision or index on these"
            " tasks.",
            _COMMAND,
        )
        _elsewhere()
        return
    left, middle, right = st.columns(3)
    model = left.selectbox("Model", elastic, key="model", bind=controls.URL)
    own = views.scores.loc[views.table.index[views.table["model"] == model]]
    counts = own.notna().sum()
    measured = counts[counts > 0].sort_values(ascending=False, kind="stable").index.tolist()
    scored = middle.selectbox(
        "Score",
        [*measured, *([_MEAN] if len(measured) > 1 else [])],
        key="score",
        bind=controls.URL,
    )
    grids = reading.gridded(model, tuple(measured) if scored == _MEAN else (scored,))
    names = {grid.view: grid for grid in sorted(grids, key=lambda grid: -grid.scores.size)}
    if sum(int(grid.scores.notna().sum().sum()) for grid in grids) < 2:
        st.info("One view alone has this score: choose another task.", icon=":material/grid_off:")
        return
    if any(grid.scores.size > 1 for grid in grids):
        _layers_and_dims(
            names[
                right.selectbox("Index and precision", list(names), key="grid", bind=controls.URL)
            ]
        )
    _precision_and_index(grids)


def _elsewhere() -> None:
    """Where there is a grid, if the reader has chosen tasks without one."""
    if reading.has_grids():
        there = reading.fullest_benchmark(grids=True) or controls.EVERYTHING
        address = escape(link("grids", benchmark=there))
        st.html(
            f'<p class="lab-table-link"><a href="{address}" target="_self">Show the grids on'
            f" {escape(there)}</a></p>"
        )


def _layers_and_dims(grid: Grid) -> None:
    cells = pd.DataFrame(grid.cells()["cells"])
    cells["layer"] = [
        f"layer {layer}" if layer else "full depth"
        for layer in cells["layer"].fillna(0).astype(int)
    ]
    st.metric("Smallest view within 1 % of the best", grid.smallest.capitalize())
    st.caption(plain(" ".join([f"Score: {grid.measure}.", *grid.notes])))
    left, right = st.columns(2)
    with left:
        st.header("Layer by dimensions")
        layers, dims = cells["layer"].drop_duplicates().tolist(), sorted(cells["dim"].unique())
        known = cells.set_index(["layer", "dim"])["score"].to_dict()
        heat_map(
            layers,
            [f"{dim}d" for dim in dims],
            [[known.get((layer, dim)) for dim in dims] for layer in layers],
            "Scores by layer and dimensions",
        )
    with right:
        st.header("Curves")
        charts.show(
            alt.Chart(cells).mark_line(point=True).encode(
                x=alt.X("dim:O", title="dimensions", axis=alt.Axis(labelAngle=0)),
                y=alt.Y("score:Q", scale=alt.Scale(zero=False), title="score"),
                color=alt.Color("layer:N", sort=None, title=None,
                                legend=alt.Legend(orient="bottom", columns=3, symbolType="stroke")),
                strokeDash=alt.StrokeDash("layer:N", sort=None, legend=None),
                tooltip=["layer:N", "dim:Q", alt.Tooltip("score:Q", format=".4f")],
            ).properties(height=300),
            "The score by dimensions, a line for each layer",
        )  # fmt: skip
    st.caption("Views that no other equals with as few layers and dimensions:")
    front = cells[cells["pareto"]].sort_values("score", ascending=False)
    table(
        [
            Column("Layer", front["layer"].tolist()),
            Column("Dimensions", front["dim"].astype(int).tolist()),
            Column("Score", front["score"].tolist(), best="max"),
            Column(
                "Share of the best, %",
                (100 * front["score"] / front["score"].max()).tolist(),
                digits=1,
            ),
        ],
        "Views that no other equals with as few layers and dimensions",
    )


def _precision_and_index(grids: list[Grid]) -> None:
    best = pd.DataFrame(
        [(grid.precision, grid.index or "none", float(grid.scores.max().max())) for grid in grids],
        columns=["precision", "index", "score"],
    )
    if len(best) < 2:
        return
    st.header("Precision by index")
    st.caption("The best score of each pair, over its layers and dimensions.")
    wide = best.pivot_table(index="precision", columns="index", values="score", aggfunc="max")
    columns = [
        Column(index, [None if pd.isna(value) else value for value in wide[index]], best="max")
        for index in wide.columns
    ]
    table([Column("Precision", list(wide.index)), *columns], "Best score by precision and index")
