"""Composed retrievers as models of `embedlab eval`, `index` and `search`:
the same numbers as by hand, saved whole.
"""

import json

import numpy as np
import pytest

import retrievers
from tests.tiny_models import write_cross_encoder

pytest.importorskip("pyserini", reason="needs the extra lucene")
WORDS = [f"w{n}" for n in range(200)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A BEIR folder of 60 documents and 10 queries, each a few words of its document."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("beir") / "corner"
    (folder / "qrels").mkdir(parents=True)
    texts = [" ".join(rng.choice(WORDS, 12)) for _ in range(60)]
    for name, rows in (
        ("corpus", [{"_id": f"d{n}", "title": "", "text": text} for n, text in enumerate(texts)]),
        (
            "queries",
            [
                {"_id": f"q{n}", "text": " ".join(rng.permutation(texts[n].split())[:3])}
                for n in range(10)
            ],
        ),
    ):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    judged = "".join(f"q{n}\td{n}\t1\n" for n in range(10))
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}")
    return folder


@pytest.fixture(scope="module")
def ranker(tmp_path_factory, word_tokenizer):
    """A random cross-encoder as most public ones are laid out:
    a classifier without files of sentence-transformers.
    """
    folder = tmp_path_factory.mktemp("models") / "ranker"
    write_cross_encoder(folder, word_tokenizer, initializer_range=0.5)
    return folder


@pytest.fixture(scope="module")
def late(tmp_path_factory, tiny_folder):
    """A late-interaction encoder: token vectors of the tiny BERT."""
    from sentence_transformers import MultiVectorEncoder

    folder = tmp_path_factory.mktemp("models") / "late"
    MultiVectorEncoder(str(tiny_folder), device="cpu").save(str(folder))
    return folder


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def by_hand(folder, model):
    """The same fusion out of the library's own objects."""
    from sentence_transformers import SentenceTransformer

    documents = lines(folder / "corpus.jsonl")
    encoder = retrievers.Encoder(SentenceTransformer(str(model), device="cpu"), "tiny")
    return (
        retrievers.make("lucene"),
        retrievers.Encoded(encoder, "faiss:flat"),
        [d["_id"] for d in documents],
        [d["text"] for d in documents],
    )


def test_a_fusion_is_evaluated(cli, home, folder, tiny_folder):
    expression = f"weighted(bm25, {tiny_folder}; weights=0.3/0.7)"
    models = ("--model", tiny_folder, "--model", expression)
    code, out, err = cli(
        "eval", *models, "--task", folder, "--dtype", "float32", "--json", "--top-k", 60
    )
    assert code == 0, err
    alone, fused = json.loads(out)["runs"]
    assert fused["model"] == "weighted(bm25, tiny, weights=0.3/0.7)"
    assert fused["index"] == "lucene + faiss:flat"
    assert fused["costs"]["encoded_now_texts"] == 0, "its vectors are those of the model alone"
    assert fused["costs"]["tokens_per_text"] == alone["costs"]["tokens_per_text"]
    assert fused["costs"]["index_bytes"] > alone["costs"]["index_bytes"]

    bm25, dense, ids, texts = by_hand(folder, tiny_folder)
    wanted = retrievers.weighted(bm25, dense, weights=[0.3, 0.7]).index(ids, texts)
    hits = wanted.search([query["text"] for query in lines(folder / "queries.jsonl")], 60)

    from leaderboard.storage.store import Store

    store = Store(home / "results.duckdb")
    ranking = store.ranking(fused["run_id"])
    for place in range(10):
        found = {
            ranking.document_ids[row]: score
            for row, score in zip(ranking.rows[place], ranking.scores[place], strict=True)
        }
        expected = {
            ids[row]: score for row, score in zip(hits.rows[place], hits.scores[place], strict=True)
        }
        assert found == pytest.approx(expected, abs=1e-5)
    run = store.run(fused["run_id"])
    assert run.model.kind == "hybrid"
    parts = run.resolved["parts"]
    assert parts[str(tiny_folder)]["dtype"] == "float32" and parts[str(tiny_folder)][
        "model"
    ].startswith(str(tiny_folder))
    assert parts["bm25"]["settings"] == {"k1": 0.9, "b": 0.4}

    code, out, err = cli("compare", "tiny", fused["model"], "--json")
    assert code == 0, err
    assert json.loads(out)["pairs"][0]["queries"] == 10


def test_a_chain_reranks_and_says_what_it_cost(cli, home, folder, ranker, tiny_folder):
    expression = f"rrf(bm25, {tiny_folder}@torch) >> rerank({ranker}, depth=7)"
    command = ("eval", "--model", expression, "--task", folder, "--dtype", "float32", "--json")
    code, _, err = cli(*command, "--dims", 8)
    assert code == 2 and "are for dense models (" in err and "and none is here" in err
    code, out, err = cli(*command, "--dims", 8, "--model", tiny_folder)
    assert code == 0 and "is seen in full" in err
    code, out, err = cli(*command)
    assert code == 0, err
    (run,) = json.loads(out)["runs"]
    assert run["dim"] is None
    assert run["model"] == "rrf(bm25, tiny@torch) >> rerank(ranker, depth=7)"
    assert run["index"] == "lucene + torch"
    assert 0 < run["costs"]["rerank_seconds"] <= run["costs"]["search_seconds"]
    assert run["costs"]["pairs_per_second"] > 0

    from leaderboard.storage.store import Store

    ranking = Store(home / "results.duckdb").ranking(run["run_id"])
    assert ((ranking.rows >= 0).sum(axis=1) == 7).all()
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(str(ranker), device="cpu")
    texts = {d["_id"]: d["text"] for d in lines(folder / "corpus.jsonl")}
    query = lines(folder / "queries.jsonl")[3]["text"]
    found = [ranking.document_ids[row] for row in ranking.rows[3][:7]]
    scores = model.predict([(query, texts[id]) for id in found], batch_size=1)
    np.testing.assert_allclose(ranking.scores[3][:7], scores, atol=1e-5)
    assert (np.diff(scores) <= 1e-6).all()


def test_candidates_are_reranked_by_a_composition(cli, home, folder, late, tmp_path):
    import shutil

    target = tmp_path / "ranked"
    shutil.copytree(folder, target)
    rows = [
        {"query-id": f"q{n}", "corpus-ids": [f"d{n}", f"d{n + 1}", f"d{n + 2}"]} for n in range(10)
    ]
    (target / "top_ranked.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    models = ("--model", f"bm25 >> {late}", "--model", late)
    code, out, err = cli("eval", *models, "--task", target, "--dtype", "float32", "--json")
    assert code == 0, err
    chain, alone = json.loads(out)["runs"]
    assert alone["scores"]["recall_at_3"] == 1.0
    assert 0 < chain["scores"]["recall_at_3"] <= 1.0
    assert chain["model"] == "bm25 >> late"


def test_a_reranker_of_ones_own_sees_the_whole_list(cli, home, folder, ranker, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from sentence_transformers import CrossEncoder\nclass Listwise(CrossEncoder):\n    def"
        f" __init__(self, device, dtype):\n        super().__init__({str(ranker)!r},"
        " device=device)\n    def score_list(self, query, texts):\n        assert len(texts) =="
        " 6\n        return [float(place) for place in range(len(texts))]\n"
    )
    expression = f"bm25 >> rerank({tmp_path}/mine.py:Listwise, depth=6)"
    code, out, err = cli(
        "eval", "--model", expression, "--task", folder, "--dtype", "float32", "--json"
    )
    assert code == 0, err
    (run,) = json.loads(out)["runs"]
    assert run["model"] == "bm25 >> rerank(Listwise, depth=6)"

    from leaderboard.storage.store import Store

    ranking = Store(home / "results.duckdb").ranking(run["run_id"])
    assert ranking.scores[0, :6].tolist() == [5, 4, 3, 2, 1, 0], "the last of the list came first"


@pytest.mark.parametrize(
    ("expression", "problem", "hint"),
    [
        ("rrf(bm25, all-minilm-l6-v3)", "Unknown model 'all-minilm-l6-v3'", "all-minilm-l6-v2"),
        ("bm25 >> {tiny}", "is a dense model: it cannot rerank", "rrf(bm25"),
        ("rrf(bm25, {ranker})", "reranks: it gives no vectors", "bm25 >> {ranker}"),
        ("rrf(bm25@faiss:flat, {tiny})", "faiss:flat takes no texts of bm25", "lucene"),
        ("rrf(bm25, {tiny}@sparse)", "sparse takes no dense vectors of", "faiss:flat"),
        ("rrf(bm25; {tiny}", "do not match", "rrf(bm25"),
    ],
)
def test_a_typo_names_the_wrong_part(
    cli, home, folder, tiny_folder, ranker, tmp_path, expression, problem, hint
):
    names = {"tiny": tiny_folder, "ranker": ranker}
    for command in (
        ("eval", "--task", folder),
        ("index", "--corpus", folder, "--out", tmp_path / "out"),
    ):
        code, _, err = cli(*command, "--model", expression.format(**names))
        assert code == 2
        assert problem in err and hint.format(**names) in err and "Traceback" not in err
    assert not (tmp_path / "out").exists()
    assert not (home / "results.duckdb").exists()


def test_an_index_of_a_composition_is_saved_whole(cli, home, folder, tiny_folder, ranker, tmp_path):
    expression = f"rrf(bm25, {tiny_folder}@faiss:hnsw32) >> rerank({ranker}, depth=9)"
    model = ("--dtype", "float32", "--device", "cpu")
    command = (
        "index", "--model", expression, "--corpus", folder, "--out", tmp_path / "index", *model,
        "--json",
    )  # fmt: skip
    code, out, err = cli(*command)
    assert code == 0, err
    assert json.loads(out)["documents"] == 60
    code, out, err = cli("search", tmp_path / "index", "w3 w5 w9 w17", "-k", 20, *model, "--json")
    assert code == 0, err
    found = json.loads(out)["results"]
    assert len(found) == 9 and all(result["text"] for result in found)

    from sentence_transformers import CrossEncoder

    bm25, dense, ids, texts = by_hand(folder, tiny_folder)
    scorer = CrossEncoder(str(ranker), device="cpu")
    wanted = (retrievers.rrf(bm25, dense) >> retrievers.rerank(scorer, 9)).index(ids, texts)
    expected = wanted.search_one("w3 w5 w9 w17", 9)
    assert [result["id"] for result in found] == [id for id, _ in expected]
    assert [result["score"] for result in found] == pytest.approx(
        [score for _, score in expected], abs=1e-5
    )

    # Other bytes, another digest.
    (ranker / "config.json").write_text((ranker / "config.json").read_text() + "\n")
    code, _, err = cli("search", tmp_path / "index", "w3", *model)
    assert code == 2 and "was made with the encoder" in err
