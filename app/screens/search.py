"""Search: a query through two retrievers side by side."""

import time
from pathlib import Path

import numpy as np
import streamlit as st

import retrievers
from app import controls, reading, saved_indexes
from app.hits import Hit, show, show_terms
from app.safe_text import plain, words
from app.settings import settings
from leaderboard.records import Texts

# Letters; shorter expansion terms are often pieces of words, with which many others begin.
_PIECE = 5
_LONGEST = 2_000  # characters of a query; Streamlit cuts longer ones, in the browser and on arrival
_COMMAND = "embedlab index --model bm25 --corpus DIR --out {folder}/bm25"
_NONE = "none"


def page() -> None:
    """The page."""
    folder = Path(settings().indexes or "indexes")
    indexes = saved_indexes.saved(folder)
    inside = {path.resolve() for path in indexes.values()}
    elsewhere = saved_indexes.made(Path(settings().made)).items() if settings().made else ()
    indexes |= {name: path for name, path in elsewhere if path not in inside}
    if not indexes:
        controls.empty(f"There are no indexes in {folder}.", _COMMAND.format(folder=folder))
        return
    names = list(indexes)
    first, second, third = st.columns([4, 4, 2])
    left = first.selectbox("Retriever", names, key="left", bind=controls.URL)
    right = second.selectbox(
        "Beside it",
        [_NONE, *names],
        min(len(names), 2) if len(names) > 1 else 0,
        key="right",
        bind=controls.URL,
    )
    k = third.number_input("Documents", 1, 100, 10, key="k", bind=controls.URL)
    query = st.text_input(
        "Query",
        key="q",
        bind=controls.URL,
        max_chars=_LONGEST,
        placeholder="Type a query and press Enter",
    )
    texts = _judged()
    if not query.strip():
        st.caption("Both retrievers answer below. The address of the page keeps the query.")
        return
    relevant = _relevant(texts, query)
    chosen = [name for name in (left, right) if name != _NONE]
    for column, name in zip(st.columns(len(chosen)), chosen, strict=True):
        with column:
            st.header(plain(name))
            try:
                _answer(indexes[name], query, k, texts, relevant)
            except retrievers.RetrieverError as error:
                st.error(plain(str(error)), icon=":material/error:")
                st.caption(plain(error.hint))


def _answer(path: Path, query: str, k: int, texts: Texts | None, relevant: set[str]) -> None:
    retriever = saved_indexes.load(path)
    with st.spinner("Searching ..."):
        started = time.perf_counter()
        found = retriever.retrieve(query, int(k))
        taken = 1000 * (time.perf_counter() - started)
    st.caption(plain(f"{len(found)} documents of {len(retriever.ids):,} in {taken:,.1f} ms."))
    expansion = saved_indexes.expansion(retriever, query)
    if expansion:
        show_terms(expansion)
    known = texts.documents if texts else {}
    documents = [(each.id, each.score, each.text or known.get(each.id)) for each in found]
    if relevant:
        places = np.flatnonzero([id in relevant for id, _, _ in documents]) + 1
        answer = (
            f"{len(places)} of {len(relevant)} relevant documents, at"
            f" {', '.join(map(str, places)) or 'no place'}."
        )
        st.caption(plain(answer))
    show(
        [Hit(id, score, text, id in relevant) for id, score, text in documents],
        [*words(query), *(term for term, _ in expansion if len(term) >= _PIECE)],
    )


def _judged() -> Texts | None:
    """The texts and judgements of the task that the user picks."""
    judged = reading.judged_tasks()
    if not judged:
        return None
    with st.expander(
        "Judgements: mark the documents that a task knows to be relevant",
        icon=":material/task_alt:",
    ):
        name = st.selectbox("Task", [_NONE, *judged], key="judged", bind=controls.URL)
        texts = reading.texts(judged[name]) if name != _NONE else None
        if texts:
            st.selectbox(
                "A query of the task",
                list(texts.queries.values())[:1000],
                None,
                key="example",
                placeholder="choose one to search with",
                on_change=_take_example,
            )
    return texts


def _take_example() -> None:
    if st.session_state["example"]:
        st.session_state["q"] = st.session_state["example"]


def _relevant(texts: Texts | None, query: str) -> set[str]:
    """The documents judged relevant to a query with this very text."""
    if texts is None:
        return set()
    ids = [id for id, text in texts.queries.items() if text.strip() == query.strip()]
    return {
        document for id in ids for document, grade in texts.qrels.get(id, {}).items() if grade > 0
    }
