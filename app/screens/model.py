"""Model: what is known of it, and its results on the chosen tasks."""

import streamlit as st

from app import controls, reading
from app.safe_text import link, plain
from app.tables import Link, table, web_link
from leaderboard.storage import latest_runs
from leaderboard.tables.known_facts import FEW, UNKNOWN, in_words, trained_on
from leaderboard.tables.standings import Row, Standings
from leaderboard.tables.table import Column


def page() -> None:
    """The page."""
    controls.require_results()
    parts = controls.pick_tasks()
    ranked = reading.ranked(parts, "mean", every_view=False)
    rows = {row.name: row for row in ranked.rows}
    name = controls.one_of("Model", sorted(rows), "named")
    row = rows[name]
    known = latest_runs.model_details(reading.store()).get((row.model, row.revision), {})
    st.header(plain(name))
    st.caption(plain(str(known.get("description") or f"A {row.kind} model.")))
    left, right = st.columns([2, 3])
    with left:
        _facts(row, known)
    with right:
        _scores(row, ranked)
        if row.views > 1:
            views = reading.ranked(parts, "mean", incomplete=True).rows
            _views([view for view in views if view.name == name])


def _facts(row: Row, known: dict[str, object]) -> None:
    facts = {name.replace("_", " "): value for name, value in vars(row.facts).items()}
    cells: dict[str, object] = {name: _cell(value) for name, value in facts.items()}
    share = UNKNOWN if row.zero_shot is None else f"{row.zero_shot} % of these tasks"
    cells |= {"zero-shot": share, "kind": row.kind, "revision": row.revision[:12] or UNKNOWN}
    table([Column("Fact", list(cells)), Column("Value", list(cells.values()))], "Facts")
    lists = {"Languages": row.facts.languages, "Trained on tasks": trained_on(known)}
    for title, listed in lists.items():
        if listed and len(listed) > FEW:
            with st.expander(f"{title}: {len(listed)}"):
                st.markdown(plain(", ".join(listed)))


def _cell(value: object) -> object:
    """A fact as a text, an address as a link."""
    if address := web_link(value):
        return address
    shown = in_words(value)
    return f"{shown:,}" if isinstance(shown, int) else shown


def _scores(row: Row, ranked: Standings) -> None:
    scores = {
        task: sorted(each.scores[task] for each in ranked.rows if task in each.scores)[::-1]
        for task in row.scores
    }
    tasks = sorted(row.scores, key=lambda task: (ranked.types.get(task, ""), task))
    columns = [
        Column("Task", [Link(task, link("task", of=task)) for task in tasks]),
        Column("Type", [ranked.types.get(task, "") for task in tasks]),
        Column("Score", [row.scores[task] for task in tasks]),
        Column(
            "Place",
            [
                f"{scores[task].index(row.scores[task]) + 1} of {len(scores[task])}"
                for task in tasks
            ],
            right=True,
        ),
        Column("Run", [Link("details", *controls.run_links([row.label], task)) for task in tasks]),
    ]
    table(columns, "Scores task by task", cards=True)


def _views(rows: list[Row]) -> None:
    """The model's rows where each layer, dimension, precision, index and origin has its own."""
    st.header("Views")
    labels = [row.label for row in rows]
    columns = [
        Column("View", [*map(Link, labels, controls.run_links(labels))]),
        Column("Mean", [row.mean for row in rows]),
        Column("Tasks", [row.tasks for row in rows]),
        Column("Source", [row.source or "computed here" for row in rows]),
        Column("Revision", [row.revision[:12] for row in rows]),
    ]
    table(columns, "Views of the model", cards=True)
