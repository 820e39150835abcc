"""`embedlab index --chunk` beside `embedlab eval --chunk`: the same documents, the same scores."""

import numpy as np
import pytest

import embedlab
import retrievers
from leaderboard.storage.store import Store
from tests.embedlab.encoding.model_shapes import splade
from tests.embedlab.options.conftest import write
from tests.embedlab.options.test_chunks import cut, texts

SPECS = [
    f"tokens:size=6,overlap=1{rest}" for rest in ("", ",over=mean", ",over=first", ",late=yes")
]


@pytest.fixture(scope="module")
def sparse_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sparse")
    splade(folder).save(str(folder / "splade"))
    return folder / "splade"


@pytest.mark.effect("index build --chunk")
def test_an_index_ranks_as_it_was_measured(ok, corner, tiny_folder, sparse_folder, home, tmp_path):
    """Built on the command line, and read back from its folder."""
    documents, asked = texts(corner)
    plain, mean, first, late = SPECS
    cases = [(tiny_folder, plain), (tiny_folder, mean), (tiny_folder, late)]
    cases += [(sparse_folder, mean), ("bm25", mean), ("bm25", first)]
    evaluated = {}
    for model in (tiny_folder, sparse_folder, "bm25"):
        specs = [spec for name, spec in cases if name == model]
        runs = ok(
            "eval", "--model", model, "--task", corner, "--json",
            *(part for spec in specs for part in ("--chunk", spec)),
        )["runs"]  # fmt: skip
        evaluated |= {(model, spec): run["run_id"] for spec, run in zip(specs, runs, strict=True)}
    for number, (model, spec) in enumerate(cases):
        said = ok(
            "index", corner, "--model", model, "--chunk", spec, "--out", tmp_path / f"{number}",
            "--json",
        )  # fmt: skip
        room = 6 if model == "bm25" else 4
        count = 30 if "first" in spec else sum(len(cut(each, room)) for each in documents.values())
        assert said["documents"] == 30 and said["chunks"] == count
    store = Store(home / "results.duckdb")
    for number, case in enumerate(cases):
        ranking, index = store.ranking(evaluated[case]), retrievers.load(tmp_path / f"{number}")
        for place, query in enumerate(ranking.query_ids):
            found = index.retrieve(asked[query], 30)
            rows = ranking.rows[place][ranking.rows[place] >= 0]
            theirs = ranking.scores[place][: len(rows)]
            np.testing.assert_allclose([each[1] for each in found], theirs, rtol=1e-5, atol=1e-6)
            measured = dict(zip((ranking.document_ids[row] for row in rows), theirs, strict=True))
            for each in found:
                id, score, text = each[:3]
                assert score == pytest.approx(measured[id], rel=1e-5, abs=1e-6)
                assert documents[id][each.start : each.end] == text and len(text.split()) <= 6


def test_the_best_chunk_is_what_is_answered(ok, refused, corner, tiny_folder, tmp_path):
    documents, asked = texts(corner)
    query = asked["q3"]  # the first six words of d3
    found = ok(*_built(ok, corner, "bm25", "tokens:size=4", tmp_path / "a"), query, "--json")
    best = found["results"][0]
    assert best["id"] == "d3" and best["text"] == " ".join(documents["d3"].split()[:4])
    assert (best["start"], best["end"]) == (0, len(best["text"]))
    mean = ok(
        *_built(ok, corner, "bm25", "tokens:size=4,over=mean", tmp_path / "b"), query, "--json"
    )
    (same,) = (each for each in mean["results"] if each["id"] == "d3")
    assert same["text"] == best["text"] and same["score"] < best["score"]
    parent = _built(ok, corner, "bm25", "tokens:size=4,parent=document", tmp_path / "c")
    whole = ok(*parent, query, "--json")["results"][0]
    assert whole["text"] == documents["d3"] and whole["score"] == best["score"]

    line = ("index", corner, "--out", tmp_path / "x", "--model")
    assert "Unknown chunking" in refused(*line, "bm25", "--chunk", "words")
    assert "for a single model" in refused(*line, f"rrf(bm25, {tiny_folder})", "--chunk", "tokens")
    assert "keeps titles apart" in refused(
        *line, "bm25", "--chunk", "tokens:size=9", "--index", "lucene:multifield"
    )
    assert not (tmp_path / "x").exists()


def _built(ok, corner, model, chunk, out):
    ok("index", corner, "--model", model, "--chunk", chunk, "--out", out, "--json")
    return "search", out


def test_sections_in_python(tmp_path, home):
    text = (
        "# Bones\nVitamin D prevents fractures. Milk helps.\n# Hearts\nStatins lower cholesterol."
    )
    index = embedlab.Index.build(
        {"d1": {"title": "", "text": text, "year": 1987}, "d2": "Nothing of this."},
        "bm25", chunks="tokens:size=3,parent=section",
    )  # fmt: skip
    index.save(tmp_path / "index")
    for each in (index, embedlab.Index.load(tmp_path / "index")):
        (found,) = each.search("cholesterol")
        assert (found.id, found.metadata) == ("d1", {"year": 1987})
        assert found.text == text[found.start : found.end] and found.text.startswith("# Hearts")
    with pytest.raises(embedlab.UserError, match="models given by name"):
        embedlab.Index.build(["a"], lambda texts: np.ones((len(texts), 2)), chunks="tokens")


def test_semantic_chunks_are_cut_where_the_model_sees_a_change(ok, corner, tiny_folder, tmp_path):
    """The same cuts in an index as in an evaluation, at the greatest distance of neighbours."""
    from sentence_transformers import SentenceTransformer

    parts = ["W1 w2 w3. ", "W1 w2 w4. ", "W90 w91. ", "W90 w92."]
    said = [part.strip() for part in parts]
    model = SentenceTransformer(str(tiny_folder), device="cpu")
    vectors = model.encode(said, normalize_embeddings=True)
    place = int(np.argmin((vectors[:-1] * vectors[1:]).sum(axis=1))) + 1
    index = embedlab.Index.build(
        {"d": "".join(parts)}, str(tiny_folder), chunks="semantic:size=60", dtype="float32"
    )
    assert len(index.retriever.part.ids) == 2
    texts = {index.search(query)[0].text for query in said}
    assert texts <= {"".join(parts[:place]), "".join(parts[place:])}


def test_a_generator_reads_the_chunk(ok, home, tmp_path):
    """Whether the answer is in what was retrieved, of the chunk and of the whole document."""
    text = "Rome is where the emperor lived. Bread was cheap. The capital of Peru is Lima."
    write(tmp_path / "corpus.jsonl", [{"_id": "d1", "text": text}, {"_id": "d2", "text": "Oslo."}])
    questions = [
        {"id": "1", "question": "capital of Peru", "answers": ["Lima"]},
        {"id": "2", "question": "capital of Peru Bread", "answers": ["emperor"]},
    ]
    write(tmp_path / "questions.jsonl", questions)
    for chunk, recall in (("tokens:size=6", 0.5), ("tokens:size=6,parent=document", 1.0)):
        out = tmp_path / str(recall)
        ok("index", tmp_path / "corpus.jsonl", "--model", "bm25", "--chunk", chunk, "--out", out)
        said = ok(
            "rag", "--retriever", out, "--questions", tmp_path / "questions.jsonl", "--k", 1,
            "--json",
        )  # fmt: skip
        assert said["scores"]["answer_recall"] == recall
