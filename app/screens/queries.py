"""The queries on which two runs differ most, with what either retrieved."""

import altair as alt
import pandas as pd
import streamlit as st

from app import charts, controls, reading
from app.hits import Hit, show
from app.safe_text import breakable, plain, words
from app.tables import table
from leaderboard.charts.looks import BLUE, GREY
from leaderboard.measures import shown
from leaderboard.records import Task, Texts
from leaderboard.tables.comparison import Comparison, Pair
from leaderboard.tables.evaluated_views import Views
from leaderboard.tables.table import Column

_LISTED = 30  # queries
_DEPTH = 5  # retrieved documents


def differing_queries(answer: Comparison, views: Views) -> None:
    """Pick a pair on a task; see the scatter of its queries,
    those that differ most, and their texts.
    """
    names = {
        _name(pair): pair
        for pair in answer.pairs
        if pair.p is not None and pair.unit == "queries"  # an STS pair has no score of its own
    }
    if not names:
        controls.empty("None of these tasks has scores of single queries.", controls.EVALUATE)
        return
    pair = names[st.selectbox("Task and pair", list(names), key="on", bind=controls.URL)]
    st.caption(plain(f"A: {pair.first}. B: {pair.second}."))
    ids = _run_id(views, pair, pair.first), _run_id(views, pair, pair.second)
    scores = reading.query_scores(ids, pair.metric)
    run = reading.run(ids[0])
    texts = reading.texts(run.task)
    scores["difference"] = scores["first"] - scores["second"]
    scores = scores.reindex(
        scores["difference"].abs().sort_values(ascending=False, kind="stable").index
    )
    left, right = st.columns([2, 3])
    with left:
        _scatter(scores, pair)
    differing = scores[scores["difference"] != 0]
    listed = (scores if differing.empty else differing).head(_LISTED)
    with right:
        table(
            [
                Column("Query", [_text(texts, query) for query in listed.index]),
                Column("A", listed["first"].tolist(), help=pair.first),
                Column("B", listed["second"].tolist(), help=pair.second),
                Column("A − B", listed["difference"].tolist(), signed=True),
            ],
            "The queries that differ most",
        )
    if texts is None or not texts.queries:
        st.caption("The texts of this task were not stored.")
        return
    options = {f"{_text(texts, query)[:120]} [{query}]": query for query in listed.index}
    _side_by_side(
        options[st.selectbox("Query", list(options), key="query", bind=controls.URL)],
        pair,
        ids,
        run.task,
        texts,
    )


def _scatter(scores: pd.DataFrame, pair: Pair) -> None:
    # Many queries have the same two scores: a larger circle stands for them.
    alike = scores.reset_index(names="query").groupby(["first", "second"], as_index=False)["query"]
    frame = alike.agg(queries="size", example="first")
    metric = shown(pair.metric)
    ends = [
        float(scores[["first", "second"]].min().min()),
        float(scores[["first", "second"]].max().max()),
    ]
    diagonal = pd.DataFrame({"first": ends, "second": ends})
    chart = alt.layer(
        alt.Chart(diagonal)
        .mark_line(strokeDash=[4, 3], color=GREY)
        .encode(x="first:Q", y="second:Q"),
        alt.Chart(frame)
        .mark_circle(color=BLUE, opacity=0.7)
        .encode(
            x=alt.X("first:Q", title=f"{metric} of A"),
            y=alt.Y("second:Q", title=f"{metric} of B"),
            size=alt.Size("queries:Q", scale=alt.Scale(range=[40, 500]), legend=None),
            tooltip=[
                alt.Tooltip("first:Q", format=".4f", title="A"),
                alt.Tooltip("second:Q", format=".4f", title="B"),
                "queries:Q",
                "example:N",
            ],
        ),
    ).properties(height=420)
    charts.show(chart, "The score of each query in A against that in B")


def _side_by_side(query: str, pair: Pair, ids: tuple[str, str], task: Task, texts: Texts) -> None:
    judged = {
        document: grade for document, grade in texts.qrels.get(query, {}).items() if grade > 0
    }
    text = texts.queries.get(query, query)
    st.markdown(f"**{plain(text)}**")
    terms = words(text)
    columns = st.columns(3)
    with columns[0]:
        st.markdown(f"**Relevant documents** ({len(judged)})")
        show([Hit(d, None, texts.documents.get(d), True) for d in list(judged)[:_DEPTH]], terms)
    for column, label, id in zip(columns[1:], (pair.first, pair.second), ids, strict=True):
        with column:
            st.html(f'<div class="lab-name">{breakable(label)}</div>')
            ranking = reading.store().ranking(id, [query])
            if ranking is None or not len(ranking.rows):
                st.caption("The ranking was not stored.")
                continue
            rankings = [
                Hit(
                    ranking.document_ids[row],
                    float(score),
                    texts.documents.get(ranking.document_ids[row]),
                    ranking.document_ids[row] in judged,
                )
                for row, score in zip(ranking.rows[0][:_DEPTH], ranking.scores[0], strict=False)
                if row >= 0
            ]
            show(rankings, terms)


def _run_id(views: Views, pair: Pair, label: str) -> str:
    view = views.table.index[views.table["label"] == label][0]
    runs = views.runs
    run = runs[
        (runs["view"] == view)
        & (runs["task"] == pair.task)
        & (runs["split"] == pair.split)
        & (runs["subset"] == pair.subset)
    ]["run_id"].iloc[0]
    return str(run)


def _name(pair: Pair) -> str:
    where = "" if pair.subset == "default" else f", {pair.subset}"
    return f"{pair.task}{where}: {pair.first} and {pair.second}"


def _text(texts: Texts | None, query: str) -> str:
    return texts.queries.get(query, query) if texts else query
