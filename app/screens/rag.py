"""RAG: pipelines that were asked the same questions; two of them compared, question by question."""

import pandas as pd
import streamlit as st

from app import controls, rag_reading, reading
from app.downloads import buttons
from app.hits import Hit, show
from app.safe_text import breakable, link, plain, words
from app.tables import Link, table
from leaderboard.measures import shown
from leaderboard.records import Answer, Texts
from leaderboard.tables.rag_runs import Experiment
from leaderboard.tables.table import Column

_ASK = "embedlab rag --questions stdlib-qa --sample 20 --retriever bm25 -k 1,3"
_LISTED = 200  # questions
# What a pipeline costs, by name in the store: header, digits.
_COSTS = {
    "latency_p50_ms": ("retrieve p50 (ms)", 1),
    "rewrite_p50_ms": ("rewrite p50 (ms)", 0),
    "refine_p50_ms": ("refine p50 (ms)", 0),
    "generate_p50_ms": ("generate p50 (ms)", 0),
    "prompt_tokens_per_question": ("prompt tokens", 0),
    "answer_tokens_per_question": ("answer tokens", 1),
    "context_tokens_saved": ("context tokens saved", 2),
    "price_per_question": ("USD a question", 6),
}


def page() -> None:
    """The page."""
    known = rag_reading.experiments()
    if not known:
        controls.empty("No RAG pipelines have been run yet.", _ASK)
        return
    name = st.selectbox("Questions", list(known), key="questions", bind=controls.URL)
    experiment = known[name]
    _pipelines(name, experiment)
    scores = rag_reading.by_question(name)
    if not scores:
        st.caption("Nothing was scored: the questions name no answers and no relevant documents.")
        return
    metric, chosen = _chosen(experiment, scores)
    if len(chosen) == 2:
        _compared(name, (chosen[0], chosen[1]), metric)
    st.header("Question by question")
    _questions(name, experiment, scores, metric, chosen)


def _pipelines(name: str, experiment: Experiment) -> None:
    scores, costs = rag_reading.measured(name)
    main = experiment.task.main_metric
    # Of grids over k, measures at one cut-off say nothing beside those at another.
    metrics = [
        str(each) for each in scores if scores[each].notna().all() or "_at_" not in str(each)
    ]
    metrics.sort(key=lambda each: each != main)
    if main in scores:
        scores = scores.sort_values(main, ascending=False, kind="stable")
        costs = costs.loc[scores.index]
    links = [Link(label, link("run", id=experiment.runs[label])) for label in scores.index]
    table(
        [
            Column("Pipeline", links),
            *(Column(shown(each), _cells(scores[each]), best="max") for each in metrics),
            *(
                Column(title, _cells(costs[each]), digits=digits)
                for each, (title, digits) in _COSTS.items()
                if each in costs
            ),
        ],
        "Pipelines with their scores and costs",
        cards=True,
    )
    buttons(
        lambda: scores.join(costs, rsuffix=" (cost)").reset_index(names="pipeline"), "pipelines"
    )


def _cells(values: pd.Series) -> list[float | None]:
    return [None if value != value else float(value) for value in values]


def _chosen(experiment: Experiment, scores: dict[str, pd.DataFrame]) -> tuple[str, list[str]]:
    """The metric, and one pipeline or two."""
    labels = list(experiment.runs)
    left, middle, right = st.columns([4, 4, 2])
    first = left.selectbox("A", labels, key="a", bind=controls.URL)
    others = [label for label in labels if label != first]
    second = middle.selectbox("B", others, key="b", bind=controls.URL) if others else None
    metrics = sorted(scores, key=lambda each: each != experiment.task.main_metric)
    metric = right.selectbox(
        "Measure", metrics, key="measure", bind=controls.URL, format_func=shown
    )
    return metric, [first, second] if second else [first]


def _compared(name: str, labels: tuple[str, str], metric: str) -> None:
    answer = rag_reading.compared(name, labels, metric)
    (pair,) = answer.pairs
    bounds = None if pair.low is None else f"{pair.low:+.4f} – {pair.high:+.4f}"
    counts = None if pair.wins is None else f"{pair.wins:,} / {pair.ties:,} / {pair.losses:,}"
    table(
        [
            Column("Measure", [shown(metric)]),
            Column("A", [_number(pair.first_score)]),
            Column("B", [_number(pair.second_score)]),
            Column("A − B", [_number(pair.difference)], signed=True),
            Column(f"{answer.level:.0%} interval", [bounds], right=True),
            Column("p", [pair.p]),
            Column("Won / tied / lost", [counts], right=True),
            Column("Questions", [pair.queries]),
        ],
        "A and B in a paired test",
    )
    if pair.p is not None:
        st.caption(
            f"A {answer.test} test over the questions of both, of this pair alone: whoever looks"
            " at several pairs takes the corrected p of `embedlab rag` or the page Compare."
        )


def _number(value: float) -> float | None:
    return None if value != value else float(value)


def _questions(
    name: str,
    experiment: Experiment,
    scores: dict[str, pd.DataFrame],
    metric: str,
    chosen: list[str],
) -> None:
    texts = reading.texts(experiment.task)
    if texts is None or not texts.queries:
        st.caption("The texts of these questions were not stored.")
        return
    listed = scores[metric].reindex(list(texts.queries))[chosen]
    if len(chosen) == 2:
        listed["difference"] = listed[chosen[0]] - listed[chosen[1]]
        by_size = listed["difference"].abs().sort_values(ascending=False, kind="stable")
        listed = listed.reindex(by_size.index)
        if st.toggle("Only those on which A and B differ", key="differing", bind=controls.URL):
            listed = listed[listed["difference"].fillna(0) != 0]
    if listed.empty:
        st.caption("There are none.")
        return
    listed = listed.head(_LISTED)
    table(
        [
            Column("Question", [texts.queries[id] for id in listed.index]),
            Column("A", _cells(listed[chosen[0]]), help=chosen[0]),
            *(
                [
                    Column("B", _cells(listed[chosen[1]]), help=chosen[1]),
                    Column("A − B", _cells(listed["difference"]), signed=True),
                ]
                if len(chosen) == 2
                else []
            ),
        ],
        f"Questions with their {shown(metric)}",
    )
    options = {f"{texts.queries[id][:120]} [{id}]": id for id in listed.index}
    picked = st.selectbox("Question", list(options), key="question", bind=controls.URL)
    _question(name, options[picked], texts, scores, chosen)


def _question(
    name: str, id: str, texts: Texts, scores: dict[str, pd.DataFrame], chosen: list[str]
) -> None:
    question = texts.queries[id]
    st.markdown(f"**{plain(question)}**")
    right = texts.answers.get(id)
    if right:
        st.markdown(f"Right answers: {'; '.join(map(plain, right))}")
    elif right is not None:
        st.markdown("Nothing in the documents answers it.")
    found = rag_reading.answers(name, question)
    if not found:
        st.caption("What the pipelines made of it was not kept.")
        return
    of_it = {
        metric: [_score(values, id, label) for label in found] for metric, values in scores.items()
    }
    table(
        [
            Column("Pipeline", list(found)),
            Column("Answer", [answer.answer for answer in found.values()]),
            *(Column(shown(metric), values) for metric, values in of_it.items()),
        ],
        "What every pipeline made of the question",
    )
    terms = words(question)
    for column, label in zip(st.columns(len(chosen)), chosen, strict=True):
        with column:
            st.html(f'<div class="lab-name">{breakable(label)}</div>')
            if label in found:
                _contexts(found[label], texts, set(texts.qrels.get(id, ())), terms)
            else:
                st.caption("Its answer was cut off, and is not kept.")


def _score(values: pd.DataFrame, id: str, label: str) -> float | None:
    return _number(float(values[label][id])) if id in values.index else None


def _contexts(answer: Answer, texts: Texts, relevant: set[str], terms: list[str]) -> None:
    """What was searched for, found, put among it, and made of it."""
    if searched := answer.steps.get("queries"):
        st.markdown(f"Searched for: {'; '.join(map(plain, searched))}")
    if "contexts" in answer.steps:
        st.markdown("**As the generator read it**")
        read = answer.steps["contexts"]
        show([Hit("", None, text, False) for text in read], terms)
    st.markdown("**Retrieved, the best first**")
    scores = [*answer.scores, *[None] * len(answer.documents)]
    show(
        [
            Hit(id, score, texts.documents.get(id), id in relevant)
            for id, score in zip(answer.documents, scores, strict=False)
        ],
        terms,
    )
    if noise := answer.steps.get("noise"):
        st.markdown("**Put among them**")
        show([Hit(id, None, texts.documents.get(id), id in relevant) for id in noise], terms)
    given = len(answer.documents) + len(noise or ())
    used = int(answer.costs.get("contexts_read", given))
    if "contexts" not in answer.steps and used < given:
        st.caption(f"{used} of {given} contexts fitted into the prompt; the worst were left out.")
