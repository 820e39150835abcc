"""What each option of `embedlab eval` changes, from the command line to the store."""

import json
import shutil
from functools import partial

import pytest

from embedlab.encoding import schedule
from leaderboard.storage.store import Store


@pytest.fixture
def evaluated(ok, tiny_folder, corner):
    """`embedlab eval` of the tiny model on the small collection with further options:
    the runs as JSON.
    """
    return lambda *options: ok(
        "eval", "--model", tiny_folder, "--task", corner, "--dtype", "float32", *options, "--json"
    )["runs"]


@pytest.fixture
def store(home):
    return lambda name="results.duckdb": Store(home / name)


@pytest.fixture
def batches(monkeypatch):
    """Which copy of the model each batch went through, and its rows and tokens."""
    seen, plain = [], schedule.vectors_of

    def watched(encoder, features, *arguments, **named):
        seen.append((id(encoder), *features["input_ids"].shape))
        return plain(encoder, features, *arguments, **named)

    monkeypatch.setattr(schedule, "vectors_of", watched)
    return seen


def manifests(home):
    return [
        json.loads(path.read_text())["ingredients"]
        for path in (home / "vectors").glob("*/manifest.json")
    ]


@pytest.mark.effect("eval --model", "eval --task", "eval --json")
def test_models_and_tasks_are_repeatable(ok, tiny_folder, corner, tmp_path):
    (tmp_path / "other").symlink_to(corner)
    shutil.copytree(tiny_folder, tmp_path / "tiny2")  # behind a link it would be the same model
    runs = ok(
        "eval",
        "--model",
        tiny_folder,
        "--model",
        tmp_path / "tiny2",
        "--task",
        corner,
        "--task",
        tmp_path / "other",
        "--json",
    )["runs"]
    assert len(runs) == 4 and all(run["scores"] for run in runs)


@pytest.mark.effect("eval --benchmark")
def test_a_benchmark_stands_for_its_tasks(ok, tiny_folder, corner, tmp_path):
    shutil.copytree(corner, tmp_path / "BrightRetrieval" / "biology")
    (tmp_path / "BrightRetrieval/biology/qrels/test.tsv").rename(
        tmp_path / "BrightRetrieval/biology/qrels/standard.tsv"
    )
    (run,) = ok(
        "eval", "--model", tiny_folder, "--benchmark", "BRIGHT", "--data-dir", tmp_path, "--json"
    )["runs"]
    name, _, content = run["task"].partition("@")  # not MTEB's data
    assert (name, run["subset"]) == ("BrightRetrieval", "biology") and len(content) == 8


@pytest.mark.effect("eval --index")
def test_index(evaluated, store):
    runs = evaluated("--index", "torch,faiss:sq8")
    assert [run["index"] for run in runs] == ["torch", "faiss:sq8"]
    assert runs[1]["costs"]["index_bytes"] < runs[0]["costs"]["index_bytes"]


@pytest.mark.parametrize("index", ["faiss:hnsw32", "torch", "lucene:impact", "sparse"])
def test_an_index_that_no_model_can_use_is_refused(refused, corner, index):
    assert "No model here can be searched" in refused(
        "eval", "--model", "bm25", "--task", corner, "--index", index
    )


def test_each_model_takes_the_indexes_that_take_what_it_gives(ok, tiny_folder, corner):
    pytest.importorskip("pyserini", reason="needs the extra lucene")
    models = ("--model", "bm25", "--model", tiny_folder, "--model", f"rrf(bm25, {tiny_folder})")
    runs = ok("eval", *models, "--task", corner, "--index", "lucene,k1=1.5,torch", "--json")["runs"]
    assert [run["index"] for run in runs] == [
        "lucene,k1=1.5",
        "torch",
        "lucene,k1=1.5 + faiss:flat",
        "lucene + torch",
    ]


@pytest.mark.effect("eval --layers", "eval --dims", "eval --precision")
def test_layers_dims_precision(evaluated, store):
    (run,) = evaluated("--layers", "1", "--dims", "8", "--precision", "int8")
    assert (run["layer"], run["dim"], run["precision"]) == (1, 8, "int8")
    assert (
        run["costs"]["index_bytes"] < 30 * 32 and run["main_score"] != evaluated()[0]["main_score"]
    )


@pytest.mark.effect("eval --views", "eval --force")
def test_views_and_force(cli, home, corner, tiny_folder, tmp_path):
    from sentence_transformers import SentenceTransformer

    from embedlab.encoders.modules.matryoshka import declare_views

    model = SentenceTransformer(str(tiny_folder), device="cpu")
    declare_views(model, [(1, 8), (3, 32)])
    model.save(str(tmp_path / "pairs"))
    command = partial(cli, "eval", "--model", tmp_path / "pairs", "--task", corner, "--json")
    runs = json.loads(command("--views", "diagonal")[1])["runs"]
    assert {(run["layer"], run["dim"]) for run in runs} == {(1, 8), (3, 32)}
    assert command("--layers", "2", "--dims", "8")[0] == 2
    assert command("--layers", "2", "--dims", "8", "--force")[0] == 0
    code, _, err = command("--views", "diagonal", "--dims", "8")
    assert code == 2 and "Leave --layers and --dims out" in err


@pytest.mark.effect("eval --device")
def test_device(evaluated, refused, store, tiny_folder, corner):
    (run,) = evaluated("--device", "cpu")
    assert store().run(run["run_id"]).resolved["device"] == "cpu"
    assert "cuda:99" in refused(
        "eval", "--model", tiny_folder, "--task", corner, "--device", "cuda:99"
    )


@pytest.mark.effect("eval --dtype")
def test_dtype(ok, refused, home, tiny_folder, corner):
    assert "bfloat16" in refused("eval", "--model", "bm25", "--task", corner, "--dtype", "float99")
    for dtype in ("float32", "bfloat16"):
        ok("eval", "--model", tiny_folder, "--task", corner, "--dtype", dtype, "--json")
    assert {ingredients["dtype"] for ingredients in manifests(home)} == {"float32", "bfloat16"}


@pytest.mark.effect("eval --store-dtype")
def test_store_dtype(evaluated, home):
    import numpy as np

    evaluated("--store-dtype", "float16")
    assert {np.load(path).dtype.name for path in (home / "vectors").glob("*/*.dense.npy")} == {
        "float16"
    }


@pytest.mark.effect("eval --batch-tokens")
def test_batch_tokens(evaluated, store, batches):
    (run,) = evaluated("--batch-tokens", "64")
    assert (
        max(rows * tokens for _, rows, tokens in batches)
        <= 64
        < sum(rows * tokens for _, rows, tokens in batches)
    )
    stored = store().run(run["run_id"])
    assert stored.resolved["batch_tokens"] == stored.asked["encoding"]["batch_tokens"] == 64


@pytest.mark.effect("eval --workers")
@pytest.mark.parametrize("workers", [1, 3])
def test_workers(evaluated, store, batches, workers):
    (run,) = evaluated("--workers", workers, "--batch-tokens", "64")
    assert len({copy for copy, _, _ in batches}) == workers
    stored = store().run(run["run_id"])
    assert stored.resolved["workers"] == stored.asked["encoding"]["workers"] == workers


@pytest.mark.effect("eval --compile")
def test_compile(evaluated, refused, store, home, monkeypatch, tiny_folder, corner):
    import torch

    # Traced by torch and run as it is: what inductor makes of it takes half a minute
    # (tests/bench/test_compiled.py).
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager", options=None))
    plain, (run,) = evaluated()[0], evaluated("--compile")
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0, "nothing was traced"
    stored = store().run(run["run_id"])
    assert stored.resolved["kernels"] == "compiled" and stored.asked["encoding"]["compiled"]
    assert {"compiled"} < {ingredients["kernels"] for ingredients in manifests(home)}
    assert run["main_score"] == plain["main_score"]
    err = refused("eval", "--model", tiny_folder, "--task", corner, "--compile", "--workers", 2)
    assert "One copy of the model that is compiled" in err


@pytest.mark.effect("eval --top-k")
def test_top_k(evaluated, store):
    (run,) = evaluated("--top-k", 10)
    assert store().ranking(run["run_id"]).rows.shape == (8, 10)


@pytest.mark.effect("eval --split")
def test_split(evaluated, store):
    (run,) = evaluated("--split", "dev")
    assert run["split"] == "dev" and len(store().ranking(run["run_id"]).query_ids) == 4


@pytest.mark.effect("eval --data-dir")
def test_data_dir(ok, cli, corner, tiny_folder, tmp_path):
    rows = ((f"{n}", f"w{n} w3", f"w{n} w{n + 1}") for n in range(6))
    (tmp_path / "STS12.tsv").write_text(
        "score\tsentence1\tsentence2\n" + "".join("\t".join(row) + "\n" for row in rows)
    )
    (run,) = ok(
        "eval", "--model", tiny_folder, "--task", "STS12", "--data-dir", tmp_path, "--json"
    )["runs"]
    assert run["task"].startswith("STS12@")  # not MTEB's data
    _, _, err = cli("eval", "--model", tiny_folder, "--task", corner, "--data-dir", tmp_path / ".")
    assert f"Nothing in {tmp_path} belongs to these tasks." in err


@pytest.mark.effect("eval --db")
def test_db(evaluated, store, home):
    evaluated("--db", home / "other.duckdb")
    assert store("other.duckdb").runs().num_rows == 1 and not (home / "results.duckdb").exists()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--dims", "0"), "--dims takes numbers from 1, not '0'"),
        (("--layers", "2,-1"), "--layers takes numbers from 1, not '-1'"),
        (("--dims", ","), "--dims ',' names nothing"),
        (("--index", " "), "--index ' ' names nothing"),
        (("--precision", ","), "--precision ',' names nothing"),
        (("--split", ""), "--split is empty"),
        (("--split=",), "--split is empty"),
        (("--dtype", ""), "--dtype is empty"),
        (("--task", ""), "--task is empty"),
        (("--db", ""), "--db is empty"),
        (("--data-dir", "/nope"), "there is no folder /nope"),
        (("--store-dtype", "float8"), "Unknown --store-dtype 'float8'"),
    ],
)
def test_a_value_that_means_nothing_is_refused(
    refused, home, tiny_folder, corner, options, problem
):
    assert problem in refused("eval", "--model", tiny_folder, "--task", corner, *options)
    assert not (home / "results.duckdb").exists()


@pytest.mark.parametrize(
    "options",
    [("--dims", 8), ("--precision", "int8"), ("--workers", 2), ("--compile",), ("--force",)],
)
def test_what_no_model_of_the_request_can_use_is_refused(refused, corner, options):
    assert "and none is here" in refused("eval", "--model", "bm25", "--task", corner, *options)


@pytest.mark.parametrize(
    "options", [("--device", "cpu"), ("--dtype", "float32"), ("--trust-remote-code",)]
)
def test_bm25_alone_has_no_use_for_a_device(refused, corner, tmp_path, options):
    assert "bm25 counts words" in refused("eval", "--model", "bm25", "--task", corner, *options)
    built = ("index", "--model", "bm25", "--corpus", corner, "--out", tmp_path / "index")
    assert "bm25 counts words" in refused(*built, *options)


def test_a_metric_inside_a_composition_is_refused_as_outside(refused, corner, tiny_folder):
    model = f"rrf(bm25, {tiny_folder}@torch,metric=l2)"
    assert "would have no effect" in refused("eval", "--model", model, "--task", corner)


def test_what_some_models_cannot_use_is_said(cli, home, tiny_folder, corner):
    pytest.importorskip("pyserini", reason="needs the extra lucene")
    models = ("--model", "bm25", "--model", tiny_folder)
    code, _, err = cli("eval", *models, "--task", corner, "--workers", 2, "--dims", 8)
    assert code == 0 and "bm25 gives no vectors" in err and "bm25 is seen in full" in err


@pytest.mark.effect("--debug")
def test_debug(cli, home, monkeypatch):
    monkeypatch.setenv("EMBEDLAB_DEBUG", "")
    with pytest.raises(Exception, match="Unknown model"):
        cli("--debug", "eval", "--model", "nope", "--task", "SciFact")


@pytest.mark.parametrize("option", [("--top-k", 20), ("--index", "torch")])
def test_what_shapes_a_search_is_refused_where_no_task_searches(
    refused, tiny_folder, tmp_path, option
):
    (tmp_path / "STS12.tsv").write_text("score\tsentence1\tsentence2\n0\tw1\tw2\n1\tw3\tw4\n")
    command = ("eval", "--model", tiny_folder, "--task", "STS12", "--data-dir", tmp_path, *option)
    assert "are for tasks that search, and STS12 is STS" in refused(*command)
