"""The page of RAG experiments without a browser."""

import pytest

from leaderboard.records import Model, Run, Task
from leaderboard.storage.store import Store
from leaderboard.tables.comparison import compare_scores
from tests.app import sample
from tests.app.test_pages import rows, said, tables


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("rag") / "rag.duckdb")
    sample.fill_rag(store)
    return store


NAMES = ["bm25 k=1 + reader", "bm25 k=3 | order(reverse) + reader"]


def test_a_store_without_rag_says_what_brings_it(show):
    page = show("rag")
    assert not page.exception and "No RAG pipelines" in said(page) and "embedlab rag" in said(page)


def test_two_pipelines_are_compared_question_by_question(show, store):
    page = show("rag", db=store.path, a=NAMES[0], b=NAMES[1], question="what is hashed? [r1]")
    assert not page.exception
    assert rows(page)[0] == NAMES[0], "the best first"
    html = tables(page)
    scores = {name: store.run(f"rag-{n}").per_query.metrics["f1"] for n, name in enumerate(NAMES)}
    (pair,) = compare_scores("quiz", "f1", scores).pairs
    for figure in (f"{pair.difference:+.4f}", f"{pair.p:.4f}", f"{pair.low:+.4f}"):
        assert figure in html
    assert "3 / 1 / 0" in html and "12" in html
    shown = " ".join(each.value for each in page.markdown)
    assert "what is hashed" in shown and "a table; tables" in shown
    assert "a list" in html and "lab-hit relevant" in html and "noise" in html
    page = show("rag", db=store.path, a=NAMES[0], b=NAMES[1], measure="exact_match")
    scores = {name: store.run(f"rag-{n}").per_query.metrics for n, name in enumerate(NAMES)}
    by_name = {name: each["exact_match"] for name, each in scores.items()}
    (pair,) = compare_scores("quiz", "exact_match", by_name).pairs
    assert pair.queries == 3 and f"{pair.difference:+.4f}" in tables(page)


def test_only_what_differs_may_be_shown(show, store):
    page = show("rag", db=store.path, a=NAMES[0], b=NAMES[1], differing="true")
    options = page.selectbox(key="question").options
    assert len(options) == 3 and not any("[r0]" in each for each in options)


@pytest.mark.parametrize("id", ["r0", "r2", "r3"])
def test_texts_are_shown_letter_by_letter(show, store, id):
    text = store.texts(Task("quiz", "RAG", revision="questions1")).queries[id]
    for a, b in ((NAMES[0], NAMES[1]), ("bm25 | refine(reader) + reader", NAMES[0])):
        page = show("rag", db=store.path, a=a, b=b, question=f"{text} [{id}]")
        assert not page.exception and page.selectbox(key="question").value.endswith(f"[{id}]")
        assert "<script" not in tables(page) and "&lt;script&gt;" in tables(page)
        shown = " ".join(each.value for each in page.markdown)
        assert "<b>" not in shown.replace("\\<", "") and "](http" not in shown
        assert ("Nothing in the documents answers it." in shown) == (id == "r3")


def test_one_pipeline_and_what_was_not_kept(show, tmp_path):
    """An older record: no right answers, no kept answers, no texts."""
    store = Store(tmp_path / "one.duckdb")
    full = sample.fill_rag(Store(tmp_path / "full.duckdb"))[0]
    store.add(full)
    page = show("rag", db=store.path)
    assert not page.exception and "was not kept" in said(page)
    bare = Run(Model("alone", "x", "rag"), Task("bare", "RAG", main_metric="f1"), float("nan"), {})
    store.add(bare)
    page = show("rag", db=store.path, questions="bare")
    assert not page.exception and "Nothing was scored" in said(page)


def test_names_that_two_pipelines_share_are_told_apart(show, tmp_path):
    store = Store(tmp_path / "shared.duckdb")
    for run in sample.fill_rag(Store(tmp_path / "full.duckdb"))[:2]:
        store.add(Run(**{**vars(run), "model": Model("same", run.model.revision, "rag")}))
    page = show("rag", db=store.path)
    assert not page.exception
    assert page.selectbox(key="a").options == ["same@revision=digest-1", "same@revision=digest-0"]
