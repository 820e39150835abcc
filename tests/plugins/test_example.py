"""examples/plugin, built and installed by pip:
its encoder, index and metric from the command line to the store.
"""

import json
import os
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app.settings import VARIABLE, Settings
from tests import ready

TASK = "StdlibMiniCodeSearch"
MAIN = Path(__file__).parents[2] / "app" / "main.py"
PAGE = """
from app import plugin_pages
[page] = plugin_pages.pages(())
assert page.title == "Hardest" and page.url_path == "hardest"
page._page()
"""
MODELS = ("--model", "trigrams", "--model", "trigrams?dim=32")


@pytest.fixture(scope="module")
def evaluated(example_package, new_home):
    """A home in which another process, which has the package, evaluated;
    and a function that runs commands there.
    """
    home = new_home()
    path = os.pathsep.join(filter(None, (str(example_package), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path, "EMBEDLAB_HOME": str(home)}

    def run(*arguments: str) -> str:
        done = ready.run("-m", "embedlab", *arguments, env=environment)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    run("eval", *MODELS, "--task", TASK, "--index", "numpy,faiss:flat,numpy,bits=16")
    return home, run


@pytest.fixture(scope="module")
def runs(evaluated):
    from leaderboard.storage.store import Store

    store = Store(evaluated[0] / "results.duckdb")
    found = [store.run(id) for id in store.runs()["id"].to_pylist()]
    return {
        (run.model.name, run.index): replace(
            run, ranking=store.ranking(run.id), texts=store.texts(run.task)
        )
        for run in found
    }


@pytest.fixture(scope="module")
def per_query(evaluated, runs):
    from leaderboard.storage.store import Store

    table = Store(evaluated[0] / "results.duckdb").per_query(
        [runs["trigrams", "numpy"].id], "rbp_at_10"
    )
    return dict(zip(table["query_id"].to_pylist(), table["value"].to_pylist(), strict=True))


def test_the_metric_is_that_of_the_paper(runs, per_query):
    run = runs["trigrams", "numpy"]
    ranking, qrels = run.ranking, run.texts.qrels
    assert len(per_query) == len(ranking.query_ids) == 250
    for query, row in zip(ranking.query_ids, ranking.rows, strict=True):
        found = [qrels[query].get(ranking.document_ids[document], 0) > 0 for document in row[:10]]
        assert np.isclose(
            per_query[query],
            sum(0.2 * 0.8**rank for rank, relevant in enumerate(found) if relevant),
        )
    assert run.scores["rbp_at_10"] == pytest.approx(np.mean(list(per_query.values())))
    assert 0 < run.scores["rbp_at_10"] < 0.2
    assert "nauc_rbp_at_10_max" not in run.scores and "nauc_ndcg_at_10_max" in run.scores


def test_the_index_finds_what_faiss_finds(runs):
    for model in ("trigrams", "trigrams?dim=32"):
        ours, faiss = runs[model, "numpy"], runs[model, "faiss:flat"]
        assert (ours.ranking.rows == faiss.ranking.rows).mean() > 0.999
        np.testing.assert_allclose(ours.ranking.scores, faiss.ranking.scores, atol=1e-6)
    assert (
        runs["trigrams", "numpy,bits=16"].costs["index_bytes"]
        == runs["trigrams", "numpy"].costs["index_bytes"] / 2
    )


def test_the_settings_are_another_model(runs):
    whole, small = runs["trigrams", "numpy"], runs["trigrams?dim=32", "numpy"]
    assert (whole.dim, small.dim) == (256, 32)
    assert whole.model.revision != small.model.revision and whole.main_score != small.main_score
    assert whole.environment["packages"]["embedlab-example"] == "0.1.0"


def test_the_leaderboard_by_the_metric(evaluated, runs):
    table = json.loads(evaluated[1]("leaderboard", "--metric", "RBP@10", "--views", "--json"))
    means = {(row["model"], row["index"]): row["mean"] for row in table["rows"]}
    assert means["trigrams", "numpy"] == pytest.approx(
        runs["trigrams", "numpy"].scores["rbp_at_10"]
    )


def test_the_page_shows_the_results(evaluated, example_package, installed, monkeypatch):
    installed(example_package)
    db = str(evaluated[0] / "results.duckdb")
    monkeypatch.setenv(VARIABLE, json.dumps(asdict(Settings(db=db, indexes="", encoders=""))))
    # AppTest leaves its script there.
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    assert not AppTest.from_file(MAIN, default_timeout=60).run().exception
    shown = AppTest.from_string(PAGE, default_timeout=60).run()
    assert not shown.exception
    assert TASK in "".join(element.proto.body for element in shown.get("html")).replace("<wbr>", "")


@pytest.fixture
def corpus(tmp_path):
    texts = {"a": "cats sit on mats", "b": "stocks fell on monday", "c": "a matter of cattle"}
    lines = [json.dumps({"_id": id, "text": text}) for id, text in texts.items()]
    (tmp_path / "corpus.jsonl").write_text("\n".join(lines))
    return tmp_path


def test_an_index_is_built_and_searched(example_package, installed, cli, home, corpus):
    installed(example_package)
    code, _, said = cli(
        "index", "--corpus", corpus, "--model", "trigrams", "--index", "numpy",
        "--out", corpus / "ix",
    )  # fmt: skip
    assert code == 0, said
    code, out, said = cli("search", corpus / "ix", "the cats sat on the mat", "--json")
    assert code == 0, said
    assert '"a"' in out and out.index('"a"') < out.index('"b"')
    (corpus / "q.jsonl").write_text(
        json.dumps({"id": "1", "question": "cats on mats", "relevant": ["a"]})
    )
    code, out, said = cli(
        "rag",
        "--retriever",
        "rrf(trigrams@numpy, trigrams?dim=64)",
        "--corpus",
        corpus,
        "--questions",
        corpus / "q.jsonl",
    )
    assert code == 0, said


def test_it_is_listed_and_loaded(example_package, installed, cli, home):
    import embedlab

    installed(example_package)
    code, out, _ = cli("models", "trigrams", "--json")
    [card] = json.loads(out)["models"]
    assert code == 0 and card["method"] == "trigrams" and card["similarity"] == "cosine"
    assert embedlab.load("trigrams?dim=16").encode_query(["a", "b"]).shape == (2, 16)
    code, _, said = cli("eval", "--model", "trigrams?dimm=16", "--task", TASK)
    assert code == 2 and "dimm" in said and "dim, buckets" in said


def test_without_it_the_names_are_unknown(cli, home):
    code, _, said = cli("eval", "--model", "trigrams", "--task", TASK)
    assert code == 2 and "Unknown model 'trigrams'" in said
    code, _, said = cli("eval", "--model", "bm25", "--index", "numpy", "--task", TASK)
    assert code == 2 and "Unknown retriever 'numpy'" in said
