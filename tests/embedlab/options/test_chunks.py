"""What `embedlab eval --chunk` changes, beside sentence-transformers and numpy."""

import json

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

import embedlab
from leaderboard.storage.store import Store


@pytest.mark.effect("eval --chunk")
def test_documents_are_ranked_by_their_chunks(ok, refused, tiny_folder, corner, home):
    def evaluated(*options):
        return ok(
            "eval", "--model", tiny_folder, "--task", corner, "--dtype", "float32", *options,
            "--json",
        )["runs"]  # fmt: skip

    specs = [f"tokens:size=6,overlap=1,over={over}" for over in ("max", "mean", "first")]
    grid = [part for spec in ("none", *specs) for part in ("--chunk", spec)]
    runs = evaluated(*grid, "--index", "torch")
    assert len(runs) == 4

    def rankings():
        store = Store(home / "results.duckdb")
        ids = [row["id"] for row in store.runs().to_pylist()]
        return {frozenset(store.run(id).settings.items()): store.ranking(id) for id in ids}

    def recorded(**chunked):
        return frozenset({"dtype": "float32", **chunked}.items())

    sized = {"chunk": "tokens", "chunk_size": "6", "chunk_overlap": "1"}
    keys = [recorded(**sized, chunk_over=over) for over in ("max", "mean", "first")]
    found = rankings()
    assert found.keys() == {recorded(), *keys}

    rows = [json.loads(line) for line in (corner / "corpus.jsonl").read_text().splitlines()]
    model = SentenceTransformer(str(tiny_folder), device="cpu")
    questions = (corner / "queries.jsonl").read_text().splitlines()
    asked = {row["_id"]: row["text"] for row in map(json.loads, questions)}
    room = 6 - len(model.tokenizer("")["input_ids"])
    for key, over in zip(keys, (np.max, np.mean, lambda scores: scores[0]), strict=True):
        ranking = found[key]
        expected = {}
        for row in rows:
            words = row["text"].split()  # a token each
            assert len(model.tokenizer(row["text"], add_special_tokens=False)["input_ids"]) == 12
            last = max(0, -(-(len(words) - room) // (room - 1)))
            parts = [" ".join(words[n * (room - 1) :][:room]) for n in range(last + 1)]
            expected[row["_id"]] = model.encode(parts, normalize_embeddings=True)
        for place, query in enumerate(ranking.query_ids):
            vector = model.encode(asked[query], normalize_embeddings=True)
            for at, score in zip(ranking.rows[place], ranking.scores[place], strict=True):
                if at >= 0:
                    theirs = over(expected[ranking.document_ids[at]] @ vector)
                    assert score == pytest.approx(theirs, abs=1e-5)
    # Documents that fit into a chunk: the same scores, bit by bit.
    fitting = ("sentences", "tokens:over=first", "headings")
    evaluated(*(part for spec in fitting for part in ("--chunk", spec)), "--index", "torch")
    found = rankings()
    whole = found[recorded()]
    methods = (("sentences", "max"), ("tokens", "first"), ("headings", "max"))
    for same in (found[recorded(chunk=name, chunk_over=over)] for name, over in methods):
        assert (same.rows == whole.rows).all() and (same.scores == whole.scores).all()

    of_python = embedlab.evaluate(
        str(tiny_folder), str(corner), dtype="float32", indexes="torch", chunks=specs[:1],
        db=home / "python.duckdb", progress=False,
    ).scores()  # fmt: skip
    assert of_python["value"].tolist() == [
        run["main_score"] for run in runs if run["settings"].get("chunk_over") == "max"
    ]

    assert "Unknown chunking 'words'" in refused(
        "eval", "--model", tiny_folder, "--task", corner, "--chunk", "words"
    )
    assert "--chunk is for dense ones" in refused(
        "eval", "--model", "bm25", "--task", corner, "--chunk", "tokens"
    )
