"""What `embedlab eval --chunk` changes, beside sentence-transformers, transformers and numpy."""

import json
import shutil
from collections import Counter

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer, SparseEncoder

import embedlab
from leaderboard.storage.store import Store
from tests.embedlab.encoding.model_shapes import splade
from tests.embedlab.options.conftest import write

OVER = {"max": np.max, "mean": np.mean, "first": lambda scores: scores[0]}
SIZED = {"chunk": "tokens", "chunk_size": "6", "chunk_overlap": "1"}


@pytest.fixture
def evaluated(ok, corner, home):
    """Evaluate a model with chunkings; gives the rankings of the store by their settings."""

    def evaluate(model, *chunks, **options):
        asked = [part for chunk in chunks for part in ("--chunk", chunk)]
        more = [part for pair in options.items() for part in (f"--{pair[0]}", pair[1])]
        runs = ok("eval", "--model", model, "--task", corner, *asked, *more, "--json")["runs"]
        store = Store(home / "results.duckdb")
        return {
            ",".join(v for k, v in run["settings"].items() if k.startswith("chunk")): (
                run,
                store.ranking(run["run_id"]),
            )
            for run in runs
        }

    return evaluate


def texts(corner):
    """Documents and queries by id."""
    return [
        {row["_id"]: row["text"] for row in map(json.loads, file.read_text().splitlines())}
        for file in (corner / "corpus.jsonl", corner / "queries.jsonl")
    ]


def cut(text, room, overlap=1):
    """Chunks of words, a token each."""
    words, step = text.split(), room - overlap
    last = max(0, -(-(len(words) - room) // step))
    return [" ".join(words[n * step :][:room]) for n in range(last + 1)]


def check(ranking, asked, scored, over):
    """Every score of a ranking is that of the document's chunks."""
    for place, query in enumerate(ranking.query_ids):
        found = ranking.rows[place] >= 0
        for at, score in zip(ranking.rows[place][found], ranking.scores[place][found], strict=True):
            theirs = OVER[over](scored(asked[query], ranking.document_ids[at]))
            assert score == pytest.approx(theirs, rel=1e-5, abs=1e-5)
        assert found.any()


@pytest.mark.effect("eval --chunk")
def test_documents_are_ranked_by_their_chunks(evaluated, tiny_folder, corner, home, refused):
    specs = [f"tokens:size=6,overlap=1,over={over}" for over in OVER]
    how = {"index": "torch", "dtype": "float32"}
    found = evaluated(
        tiny_folder, "none", "none", *specs, "tokens:over=max,overlap=1,size=6", **how
    )
    assert set(found) == {"", *(f"tokens,6,1,{over}" for over in OVER)}  # each once
    documents, asked = texts(corner)
    model = SentenceTransformer(str(tiny_folder), device="cpu")
    chunks = {
        id: model.encode(cut(text, 4), normalize_embeddings=True) for id, text in documents.items()
    }
    vectors = {text: model.encode(text, normalize_embeddings=True) for text in asked.values()}
    for over in OVER:
        run, ranking = found[f"tokens,6,1,{over}"]
        assert SIZED.items() <= run["settings"].items()
        check(ranking, asked, lambda text, id: chunks[id] @ vectors[text], over)

    # Documents that fit into a chunk: the same scores, bit by bit. All that the model reads is 64.
    fitting = ("sentences", "tokens:over=first", "headings", "tokens:size=64,over=first")
    fitted = evaluated(tiny_folder, *fitting, **how)
    assert set(fitted) == {"sentences,64,max", "tokens,64,first", "headings,64,max"}
    whole = found[""][1]
    for _, same in fitted.values():
        assert (same.rows == whole.rows).all() and (same.scores == whole.scores).all()

    of_python = embedlab.evaluate(
        str(tiny_folder), str(corner), dtype="float32", indexes="torch", chunks=specs[:1],
        db=home / "python.duckdb", progress=False,
    ).scores()  # fmt: skip
    assert of_python["value"].tolist() == [found["tokens,6,1,max"][0]["main_score"]]

    line = ("eval", "--task", corner, "--chunk")
    assert "Unknown chunking 'words'" in refused(*line, "words", "--model", tiny_folder)
    assert "parent is what a search answers with" in refused(
        *line, "tokens:parent=section", "--model", tiny_folder
    )


def test_sparse_models_in_chunks(evaluated, tmp_path, corner):
    folder = tmp_path / "splade"
    splade(tmp_path).save(str(folder))
    specs = [f"tokens:size=6,overlap=1,over={over}" for over in OVER]
    found = evaluated(folder, *specs, dtype="float32")
    documents, asked = texts(corner)
    model = SparseEncoder(str(folder), device="cpu")
    encode = lambda texts: model.encode(texts, convert_to_sparse_tensor=False).numpy()  # noqa: E731
    chunks = {id: encode(cut(text, 4)) for id, text in documents.items()}
    vectors = {text: encode([text])[0] for text in asked.values()}
    for over in OVER:
        scored = lambda text, id: chunks[id] @ vectors[text]  # noqa: E731
        check(found[f"tokens,6,1,{over}"][1], asked, scored, over)


def test_bm25_in_chunks(evaluated, corner, refused):
    documents, asked = texts(corner)
    found = evaluated("bm25", *(f"tokens:size=5,overlap=1,over={over}" for over in OVER))
    for over in OVER:
        chunks = {
            id: cut(text, 5)[: 1 if over == "first" else None] for id, text in documents.items()
        }
        every = [set(chunk.split()) for own in chunks.values() for chunk in own]
        length = np.mean([len(chunk.split()) for own in chunks.values() for chunk in own])

        def bm25(text, id, every=every, length=length, chunks=chunks):
            """Robertson and Zaragoza (2009) with Anserini's k1 and b, and Lucene's idf."""
            scores = []
            for words in map(str.split, chunks[id]):
                counts, score = Counter(words), 0.0
                for word in text.split():
                    here = sum(word in chunk for chunk in every)
                    idf = np.log(1 + (len(every) - here + 0.5) / (here + 0.5))
                    tf = counts[word]
                    score += idf * tf / (tf + 0.9 * (0.6 + 0.4 * len(words) / length))
                scores.append(score)
            return scores

        check(found[f"tokens,5,1,{over}"][1], asked, bm25, over)
    line = ("eval", "--model", "bm25", "--task", corner, "--chunk")
    assert "names no limit of tokens" in refused(*line, "tokens")
    assert "Semantic" in refused(*line, "semantic:size=9").title()
    assert "keeps titles apart" in refused(*line, "tokens:size=9", "--index", "lucene:multifield")


def test_late_chunks_beside_transformers(evaluated, tiny_folder, corner, refused):
    """Each chunk is the mean of its tokens' states in the whole text, what stands beside the text
    in the first and the last chunk.
    """
    import torch
    from transformers import AutoModel, AutoTokenizer

    specs = [f"tokens:size=6,overlap=1,late=yes,over={over}" for over in OVER]
    found = evaluated(tiny_folder, *specs, "tokens:late=yes", "none", dtype="float32")
    documents, asked = texts(corner)
    backbone, tokenizer = (each.from_pretrained(tiny_folder) for each in (AutoModel, AutoTokenizer))

    def states(text):
        with torch.no_grad():
            return backbone(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].numpy()

    unit = lambda vector: vector / np.linalg.norm(vector)  # noqa: E731

    def late(text):
        of_tokens, count = states(text), len(cut(text, 4))
        ranges = [(1 + 3 * n, 5 + 3 * n) for n in range(count)]
        ranges[0], ranges[-1] = (0, ranges[0][1]), (ranges[-1][0], len(of_tokens))
        return np.stack([unit(of_tokens[a:b].mean(axis=0)) for a, b in ranges])

    chunks = {id: late(text) for id, text in documents.items()}
    vectors = {text: unit(states(text).mean(axis=0)) for text in asked.values()}
    for over in OVER:
        scored = lambda text, id: chunks[id] @ vectors[text]  # noqa: E731
        check(found[f"tokens,6,1,{over},yes"][1], asked, scored, over)
    late_costs = found["tokens,64,max,yes"][0]["costs"]  # one pass for all four
    assert late_costs["encoded_now_texts"] == late_costs["truncated_share"] == 0
    one, whole = found["tokens,64,max,yes"][1], found[""][1]
    np.testing.assert_allclose(one.scores, whole.scores, atol=1e-5)
    line = ("eval", "--task", corner, "--chunk", "tokens:size=6,late=yes")
    assert "pools the token vectors" in refused(*line, "--model", tiny_folder, "--layers", "1")
    assert "cannot chunk late" in refused(*line, "--model", "base-last")
    assert "late chunks are for dense models" in refused(*line, "--model", "bm25")


def test_what_cannot_be_cut_says_so(refused, corner, tiny_folder, late, home):
    line = ("eval", "--task", corner, "--chunk", "tokens:size=6", "--model")
    assert "--chunk is for dense and sparse ones and bm25" in refused(*line, late)
    composed = f"rrf(bm25, {tiny_folder})"
    assert "--chunk is for dense and sparse ones and bm25" in refused(*line, composed)

    def ones(texts):
        return np.ones((len(texts), 2))

    with pytest.raises(embedlab.UserError, match="shows no tokenizer"):
        embedlab.evaluate(ones, str(corner), chunks="tokens:size=6", progress=False)


def test_candidates_in_chunks(evaluated, tiny_folder, corner, tmp_path, ok):
    """A reranking task: the chunks of each query's candidates, and nothing else."""
    _, asked = texts(corner)
    folder = tmp_path / "candidates"
    shutil.copytree(corner, folder)
    among = {query: [f"d{(n + step) % 30}" for step in range(5)] for n, query in enumerate(asked)}
    lines = ({"query-id": query, "corpus-ids": ids} for query, ids in among.items())
    write(folder / "top_ranked.jsonl", lines)
    for model, over in ((tiny_folder, "max"), (tiny_folder, "mean"), ("bm25", "mean")):
        chunk = f"tokens:size=6,overlap=1,over={over}"
        everything = evaluated(model, chunk)[f"tokens,6,1,{over}"][1]
        line = ("eval", "--model", model, "--task", folder, "--chunk", chunk, "--json")
        (run,) = ok(*line)["runs"]
        found = Store(tmp_path / "home/results.duckdb").ranking(run["run_id"])

        def ids(ranking, query):
            row = ranking.rows[list(ranking.query_ids).index(query)]
            return [ranking.document_ids[at] for at in row if at >= 0]

        for query in found.query_ids:
            ranked = [id for id in ids(everything, query) if id in among[query]]
            assert ids(found, query) == ranked


def test_precisions_and_dimensions_of_chunks(ok, tiny_folder, corner):
    chunks = [part for over in OVER for part in ("--chunk", f"tokens:size=6,over={over}")]
    runs = ok(
        "eval", "--model", tiny_folder, "--task", corner, *chunks, "--layers", "2,3", "--dims",
        "8,32", "--precision", "float32,int8", "--json",
    )["runs"]  # fmt: skip
    scores = {
        (run["settings"]["chunk_over"], run["layer"], run["dim"], run["precision"]): run
        for run in runs
    }
    assert len(scores) == len(runs) == 3 * 2 * 2 * 2
    for (over, layer, dim, precision), run in scores.items():
        exact = scores[over, layer, dim, "float32"]
        assert run["main_score"] == pytest.approx(exact["main_score"], abs=0.15)
        if precision == "int8":
            assert run["costs"]["index_bytes"] < 0.5 * exact["costs"]["index_bytes"]
    assert len({run["main_score"] for run in runs}) > 4
