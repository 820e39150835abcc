"""What --where and --metadata change."""

import json

import pytest

import embedlab
from embedlab.rag import retrieving
from embedlab.rag.pipeline_expressions import Stage
from embedlab.rag.questions import Question

DOCUMENTS = [
    {"_id": "a", "title": "Cells", "text": "the cell and the gene", "year": 2019, "lang": "en"},
    {"_id": "b", "text": "gene editing in cells", "year": 2021, "lang": "en", "open": False},
    {"_id": "c", "text": "the gene", "year": 2022, "lang": "de", "tags": ["x"], "cited": 0},
    {"_id": "d", "text": "a gene of unknown date", "note": ""},
]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    path = tmp_path_factory.mktemp("corpus") / "corpus.jsonl"
    path.write_text("".join(json.dumps(document) + "\n" for document in DOCUMENTS))
    return path


@pytest.fixture
def index(ok, corpus, tmp_path):
    ok("index", "--docs", corpus, "--model", "bm25", "--out", tmp_path / "index", "--json")
    return tmp_path / "index"


@pytest.mark.effect("search --where", "search --metadata")
def test_search(ok, refused, cli, index, corpus):
    def ids(where, *more):
        found = ok("search", index, "gene", "--where", where, *more, "--json")["results"]
        assert [row["rank"] for row in found] == list(range(1, len(found) + 1))
        return {row["id"] for row in found}

    assert ids('year >= 2020 and lang = "en"') == {"b"}
    assert ids("open = false or cited = 0 or tags contains 'x'") == {"b", "c"}, "0 is a value"
    assert ids("not year >= 2020") == {"a"} and ids("year is null") == {"d"}
    assert ids("year > 1", "-k", 2) < {"a", "b", "c"} and ids("year > 3000") == set()
    found = ok("search", index, "gene", "--where", "id = 'c'", "--json")["results"][0]
    assert found["metadata"] == {"year": 2022, "lang": "de", "tags": ["x"], "cited": 0}
    shown = ok("search", index, "gene", "--where", "year > 2021", "--metadata")
    assert all(field in shown for field in ("year: 2022", "lang: de", 'tags: ["x"]'))
    assert "2022" not in ok("search", index, "gene", "--where", "year > 2021")
    assert "lang: de" in ok("search", "--compare", index, index, "gene", "--metadata")
    err = refused("search", index, "gene", "--where", "yeer > 1")
    assert "Did you mean year? The fields are: id (text), cited (number), lang (text)" in err
    assert "malformed at its end" in refused("search", index, "gene", "--where", "year >")
    assert "without quotes" in refused("search", index, "gene", "--where", "year > '1'")

    loaded = embedlab.Index.load(index)
    assert [hit.id for hit in loaded.search("gene", where="lang = 'de'")] == ["c"]
    ok("index", "add", index, corpus, "--replace", "--json")
    ok("index", "delete", index, "c", "--json")
    assert ids("year > 1") == {"a", "b"}
    assert "No document has a field 'tags'" in refused(
        "search", index, "gene", "--where", "tags contains 'x'"
    )


@pytest.mark.effect("rag --where")
def test_rag(ok, refused, index, corpus, tmp_path):
    asked = [
        {"id": "1", "question": "a gene", "relevant": ["c"]},
        {"id": "2", "question": "cells", "relevant": ["b"]},
    ]
    questions = tmp_path / "questions.jsonl"
    questions.write_text("".join(json.dumps(row) + "\n" for row in asked))

    def contexts(*options):
        said = ok("rag", "--questions", questions, "-k", 4, *options, "--json")
        return said["model"], [set(each["documents"]) for each in said["questions"]]

    everything = contexts("--retriever", index)[1]
    assert everything == [{"a", "b", "c", "d"}, {"a", "b"}]
    for source in (["--retriever", index], ["--retriever", "bm25", "--corpus", corpus]):
        name, found = contexts(*source, "--where", "year >= 2020")
        assert found == [{"b", "c"}, {"b"}]
        assert name.endswith("where(year >= 2020)")
    retriever = embedlab.Index.load(index).retriever
    only = retriever.where("year > 1 and id != 'b'")  # a and c
    for noise in ("random", "adversarial"):
        (found,) = retrieving.retrieve(retriever, [["gene"]], 1, only)
        stage = Stage("noise", noise, (("n", 3),))
        retrieving.add_noise(stage, retriever, [Question("1", "gene")], [found], only)
        assert {*found.rows, *found.noise} == set(only.tolist()) and len(found.rows) == 1
    err = refused("rag", "--retriever", index, "--questions", questions, "--where", "year > 3000")
    assert "No document of index fits --where" in err
    assert "Did you mean year" in refused(
        "rag", "--retriever", index, "--questions", questions, "--where", "yeer > 3000"
    )
