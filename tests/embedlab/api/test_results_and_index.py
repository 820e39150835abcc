"""`embedlab.results`, `embedlab.load` and `embedlab.Index` from Python."""

import json

import numpy as np
import pandas as pd
import pytest

import embedlab
from retrievers import RetrieverError


def ones(texts):
    return np.ones((len(texts), 2))


def words(texts):
    """How often each of the words w0 to w199 comes."""
    return np.array([[text.split().count(f"w{n}") for n in range(200)] for text in texts])


@pytest.fixture
def found(home, corner):
    evaluated = embedlab.evaluate([ones, words, "bm25"], corner, progress=False)
    embedlab.evaluate({"later": words}, corner, progress=False)
    return evaluated


def test_an_evaluation_shows_its_own_and_a_store_all(found, corner, cli):
    everything = embedlab.results()
    assert repr(found).startswith("Results(3 runs in ") and repr(everything).startswith(
        "Results(4 runs in "
    )
    assert (
        set(found.leaderboard()["model"])
        == set(found.scores()["model"])
        == {"ones", "words", "bm25"}
    )
    ranked = everything.leaderboard()
    assert set(ranked["model"]) == {"ones", "words", "bm25", "later"}
    task = found.scores()["task"][0]
    typed = json.loads(cli("leaderboard", "--json")[1])
    assert ranked["label"].tolist() == [row["label"] for row in typed["rows"]]
    assert ranked[task].tolist() == [row["scores"][task] for row in typed["rows"]]
    assert ranked["encode_seconds"].notna().sum() == 3 and "low" in ranked
    assert everything.leaderboard([task], sort="borda", over="none")["low"].isna().all()


def test_scores_and_single_queries(found):
    scores = found.scores("nDCG@10").set_index("model")["value"]
    assert scores["words"] == 1.0 > scores["ones"]
    assert found.scores("R@5", model=["words", "ones"])["metric"].tolist() == ["recall_at_5"] * 2
    queries = found.per_query("nDCG@10", model="ones")
    assert len(queries) == 8 and queries["value"].mean() == pytest.approx(scores["ones"])
    assert found.per_query(model="nobody").empty and {"query_id", "value"} <= set(
        found.per_query(model="nobody")
    )


def test_comparisons(found, cli):
    pairs = found.compare()
    assert len(pairs) == 3 and "later" not in {*pairs["first"], *pairs["second"]}
    (pair,) = found.compare("words", "ones", test="t", correction="none").to_dict("records")
    typed = json.loads(
        cli("compare", "words", "ones", "--test", "t", "--correction", "none", "--json")[1]
    )["pairs"]
    assert pair == typed[0]


@pytest.mark.parametrize("method", ["leaderboard", "scores", "per_query", "compare"])
def test_arrow(found, method):
    table, frame = getattr(found.arrow, method)(), getattr(found, method)()
    assert table.column_names == list(frame.columns) and table.num_rows == len(frame)
    pd.testing.assert_frame_equal(table.to_pandas(), frame, check_dtype=False)


def test_an_empty_store_says_what_to_do(home):
    with pytest.raises(Exception, match="There are no results") as error:
        embedlab.results().leaderboard()
    assert "embedlab eval" in error.value.hint


def test_a_loaded_model_gives_the_measured_vectors(home, tiny_folder, tmp_path, sentence_model):
    texts = ["w1 w2", "w3"]
    assert np.allclose(
        embedlab.load(str(tiny_folder), dtype="float32").encode(texts), sentence_model.encode(texts)
    )
    sentence_model.prompts = {"query": "q : ", "document": ""}
    sentence_model.save(str(tmp_path / "prompted"))
    loaded = embedlab.load(str(tmp_path / "prompted"), device="cpu", dtype="float32")
    assert np.allclose(loaded.encode_query(texts), sentence_model.encode_query(texts), atol=1e-6)
    assert not np.allclose(loaded.encode_query(texts), loaded.encode_document(texts))
    for name in ("bm25", "rrf(bm25, base-mean)"):
        with pytest.raises(embedlab.UserError, match="gives no vectors"):
            embedlab.load(name)


DOCUMENTS = {"a": "w1 w2 w3", "b": {"title": "w4", "text": "w5 w6"}, "c": "w7 w8"}


@pytest.mark.parametrize("model", ["bm25", words], ids=["by name", "function"])
def test_an_index_is_built_searched_saved_and_loaded(model, home, tmp_path):
    index = embedlab.Index.build(DOCUMENTS, model)
    best = index.search("w5 w4", k=2)[0]
    assert (best.id, best.text, len(index)) == ("b", "w4 w5 w6", 3)
    index.save(tmp_path / "index")
    again = embedlab.Index.load(tmp_path / "index", *([] if model == "bm25" else [model]))
    assert again.search("w5 w4", k=2) == index.search("w5 w4", k=2)


def test_an_index_belongs_to_its_model(home, tmp_path, tiny_folder, sentence_model):
    embedlab.Index.build(DOCUMENTS, words).save(tmp_path / "index")
    with pytest.raises(RetrieverError, match=r"another|made with"):
        embedlab.Index.load(tmp_path / "index", ones)
    with pytest.raises(embedlab.UserError, match="an object, which no name finds"):
        embedlab.Index.load(tmp_path / "index")
    by_name, by_object = (
        embedlab.Index.build(DOCUMENTS, model, **how)
        for model, how in ((str(tiny_folder), {"dtype": "float32"}), (sentence_model, {}))
    )
    one, other = (
        [(hit.id, hit.score) for hit in index.search("w8", k=3)] for index in (by_name, by_object)
    )
    assert [id for id, _ in one] == [id for id, _ in other]
    assert np.allclose([score for _, score in one], [score for _, score in other], atol=1e-5)


def test_documents_come_in_several_forms(home, corner):
    assert embedlab.Index.build(["w1", "w2 w3"]).search("w3")[0].id == "1"
    assert (
        len(embedlab.Index.build(corner))
        == len(embedlab.Index.build(str(corner / "corpus.jsonl")))
        == 30
    )
    for nothing in ([], {}):
        with pytest.raises(embedlab.UserError, match="no documents"):
            embedlab.Index.build(nothing)
    with pytest.raises(embedlab.UserError, match="by name"):
        embedlab.Index.build(["w1"], ones, device="cpu")


def test_the_door_is_light(tmp_path):
    import subprocess
    import sys

    code = (
        "import sys, embedlab; print(sorted({'torch', 'pandas', 'numpy', 'mteb', 'typer'} &"
        " set(sys.modules)))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout == "[]\n" and set(embedlab.__all__) <= set(dir(embedlab))
    assert not hasattr(embedlab, "nothing_of_this_name")
