"""Run: everything about how one result came about, and what could not be finished."""

import json

import streamlit as st

from app import controls, reading
from app.safe_text import plain
from app.tables import table
from leaderboard.measures import shown
from leaderboard.records import Run
from leaderboard.tables.differences import settings as all_settings
from leaderboard.tables.table import Column

_LONGEST = 300  # characters of a setting


def page() -> None:
    """The page."""
    failures = reading.failures()
    if reading.tasks().empty:
        controls.empty("There are no results yet.", controls.EVALUATE)
    else:
        _show(reading.run(_picked()))
    if not failures.empty:
        st.header("Failures")
        table(
            [
                Column("Model", failures["model"].tolist()),
                Column("Task", failures["task"].tolist()),
                Column("Problem", failures["problem"].tolist()),
                Column("What to do", failures["hint"].tolist()),
                Column("When (UTC)", [f"{time:%Y-%m-%d %H:%M}" for time in failures["created"]]),
            ],
            "Tasks that could not be finished, newest first",
            cards=True,
        )


def _picked() -> str:
    """The id of the run in the address, or of the one that the pickers stand for."""
    if st.query_params.get("id"):
        st.html('<p class="lab-table-link"><a href="run" target="_self">Choose another run</a></p>')
        return st.query_params["id"]
    views = reading.all_views(controls.pick_tasks())
    left, right = st.columns(2)
    label = left.selectbox("Model", views.table["label"].tolist(), key="view", bind=controls.URL)
    runs = views.runs[views.runs["view"] == views.table.index[views.table["label"] == label][0]]
    runs = runs.sort_values(["type", "task", "split", "subset"])
    parts = zip(runs["task"], runs["split"], runs["subset"], runs["run_id"], strict=True)
    names = {_part(task, split, subset): str(run_id) for task, split, subset, run_id in parts}
    return names[right.selectbox("Task", list(names), key="part", bind=controls.URL)]


def _part(task: str, split: str, subset: str) -> str:
    return (
        task
        + ("" if split == "test" else f", {split}")
        + ("" if subset == "default" else f", {subset}")
    )


def _show(run: Run) -> None:
    st.header(plain(f"{run.model.name} on {run.task.name}"))
    source = f"imported from {run.source}" if run.source else "computed here"
    st.caption(plain(f"Run {run.id}, {run.created:%Y-%m-%d %H:%M} UTC, {source}"))
    first, second, third, fourth = st.columns(4)
    first.metric(plain(shown(run.task.main_metric)), f"{run.main_score:.4f}")
    second.metric("Layer and dimensions", f"{run.layer or 'full'} / {run.dim or 'full'}")
    third.metric("Precision", plain(run.precision))
    fourth.metric("Index", plain(run.index or "none"))
    left, right = st.columns(2)
    with left:
        st.header("Scores")
        # The main metric comes first, the rest as stored.
        names = sorted(run.scores, key=lambda name: name != run.task.main_metric)
        table(
            [
                Column("Metric", [shown(name) for name in names]),
                Column("Score", [run.scores[name] for name in names]),
            ],
            "Scores",
        )
    with right:
        st.header("Costs and phases")
        measured = {controls.name_of(name): _counted(value) for name, value in run.costs.items()}
        measured |= {f"phase: {phase.name} (s)": float(phase.seconds) for phase in run.phases}
        if measured:
            table(
                [
                    Column("Measured", list(measured)),
                    Column("Value", list(measured.values()), digits=3),
                ],
                "Measured costs and seconds of each phase",
            )
        else:
            st.caption("None were measured: the result was imported.")
    _inputs(run)
    known = {
        name: value for name, value in all_settings(run).items() if value not in (None, "", {}, [])
    }
    groups = {
        "Prompts": "resolved.prompts",
        "As requested": "asked.",
        "As resolved": "resolved.",
        "Environment": "environment.",
    }
    for title, beginning in groups.items():
        part = {name: value for name, value in known.items() if name.startswith(beginning)}
        known = {name: value for name, value in known.items() if name not in part}
        _settings(title, part, beginning)
    _settings("Model and task", known, "")


def _counted(value: float) -> float | int:
    """Bytes, texts and parameters without digits after the point."""
    return int(value) if value >= 10 and value == int(value) else float(value)


def _inputs(run: Run) -> None:
    texts = [str(text) for text in run.resolved.get("first_inputs") or ()]
    if texts:
        st.header("First rendered inputs")
        st.caption("The texts as they reached the model, with prompt and template.")
        for text in texts[:4]:
            st.code(text, language=None, wrap_lines=True)


def _settings(title: str, values: dict[str, object], beginning: str) -> None:
    if not values:
        return
    with st.expander(title, expanded=title == "Prompts"):
        table(
            [
                Column(
                    "Setting",
                    [
                        name.removeprefix(beginning.rstrip(".")).lstrip(".") or name
                        for name in values
                    ],
                ),
                Column("Value", [_shortened(value) for value in values.values()]),
            ],
            title,
        )


def _shortened(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ... ({len(text):,} characters)"
