"""An evaluation on a cluster is that of one process: its store, its scores, its vectors."""

import json
import os
import shutil
import socket
import sys
from dataclasses import replace

import numpy as np
import pytest

import embedlab
from embedlab.cluster import engine
from embedlab.cluster.fleet import joined
from embedlab.cluster.worker import Source, Space, Worker
from embedlab.encoding.encoder import Encoder
from embedlab.errors import UserError
from embedlab.models import load
from embedlab.options import EncodingOptions
from tests import ready
from tests.beir_folder import write_beir
from tests.store_content import content, unlike

WORDS = [f"w{n}" for n in range(200)]


@pytest.fixture(scope="module")
def collections(tmp_path_factory):
    place = tmp_path_factory.mktemp("collections")
    return [
        write_beir(place / name, WORDS, documents, 6, seed)
        for seed, (name, documents) in enumerate((("small", 20), ("large", 60)))
    ]


@pytest.mark.effect("eval --cluster")
def test_a_plan_of_two_models_on_two_tasks(tiny_folder, collections, tmp_path):
    other = shutil.copytree(tiny_folder, tmp_path / "other")
    modules = json.loads((other / "modules.json").read_text())
    (other / "modules.json").write_text(json.dumps(modules[:2]))  # not normalised
    plan = [
        *(word for model in (tiny_folder, other) for word in ("--model", model)),
        *(word for collection in collections for word in ("--task", collection)),
        "--dtype", "float32", "--index", "torch", "--json",
    ]  # fmt: skip
    runs = []
    for home, more in (("alone", []), ("together", ["--cluster", "local:2"])):
        env = {**os.environ, "EMBEDLAB_HOME": str(tmp_path / home)}
        process = ready.Process("-m", "embedlab", "eval", *plan, *more, env=env)
        out, said = process.communicate()
        runs.append(json.loads(out)["runs"])
        assert len(runs[-1]) == 4, said
        assert all(str(each) in said for each in ("tiny on large", "other on small")), said
    alone, together = (
        content(tmp_path / home / "results.duckdb") for home in ("alone", "together")
    )
    assert unlike(alone, together) == {}


@pytest.mark.parametrize("typed", ["local:0", "local:x", "local", "mars:10001", "ray://host"])
def test_what_is_no_cluster_is_refused_before_any_work(cli, home, typed):
    code, _, said = cli("eval", "--model", "bm25", "--task", "SciFact", "--cluster", typed)
    assert code == 2 and "--cluster local:4" in said and not home.exists()
    assert ("nobody would work" if typed == "local:0" else "is no cluster") in said


def refused(cli, tiny_folder, collections, typed):
    code, _, said = cli(
        "eval", "--model", tiny_folder, "--task", collections[0], "--cluster", typed
    )
    assert code == 2 and "Traceback" not in said
    return said


def test_a_cluster_that_cannot_be_reached(cli, home, tiny_folder, collections, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
    said = refused(cli, tiny_folder, collections, "auto")
    assert f"The cluster 127.0.0.1:{port} cannot be reached" in said
    said = refused(cli, tiny_folder, collections, f"ray://127.0.0.1:{port}")
    assert f"The cluster ray://127.0.0.1:{port} cannot be reached" in said


def test_without_grpc(cli, home, tiny_folder, collections, monkeypatch):
    monkeypatch.setattr(engine, "find_spec", {}.get)
    said = refused(cli, tiny_folder, collections, "ray://127.0.0.1:10001")
    assert "grpcio" in said and "pip install 'embedlab[cluster]'" in said


def test_without_ray(cli, home, tiny_folder, collections, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    said = refused(cli, tiny_folder, collections, "local:2")
    assert "pip install 'embedlab[cluster]'" in said


def test_more_workers_than_the_machine_can_hold(cli, home, tiny_folder, collections):
    said = refused(cli, tiny_folder, collections, "local:9999")
    assert f"Type --cluster local:{os.cpu_count()}" in said


def test_objects_cannot_travel(collections):
    def letters(texts):
        return np.array([[text.count(each) for each in "0123456789"] for text in texts])

    with pytest.raises(UserError, match="letters is an object, which cannot travel") as error:
        embedlab.evaluate(letters, collections[0], cluster="local:2", progress=False)
    assert "path/to/file.py:Class" in error.value.hint


def test_a_worker_whose_vectors_would_stand_under_another_key_is_refused(home, tiny_folder):
    source = Source(str(tiny_folder), "cpu", "float32", False, False, EncodingOptions(), False)
    worker, here = Worker(), Encoder(load(str(tiny_folder), device="cpu", dtype="float32"))
    made_of = here.ingredients("query", "q: ", None)
    worker.prepare(source, [Space("query", "q: ", None, made_of)])
    other = {**made_of, "kernels": "plain", "device": "cuda"}
    with pytest.raises(
        UserError, match="another model than on the machine of the command"
    ) as error:
        worker.prepare(source, [Space("query", "q: ", None, other)])
    assert "kernels packed (plain)" in str(error.value) and "device cpu (cuda)" in str(error.value)
    with pytest.raises(UserError, match="nowhere"):
        worker.prepare(replace(source, name="nowhere"), [])


@pytest.mark.parametrize("layers", [[None], [1, None]])
def test_pieces_of_a_shard_are_the_whole_of_it(home, tiny_folder, layers):
    """Whoever does them, and where there are more pieces than batches."""
    options = EncodingOptions(batch_tokens=64)
    source = Source(str(tiny_folder), "cpu", "float32", False, False, options, False)
    texts = [" ".join(WORDS[n : n + 1 + n % 17]) for n in range(90)]
    part = np.arange(1000, 1090)

    def made(pieces):
        workers = [Worker() for _ in range(2)]
        shards = [
            workers[piece % 2].encode(source, texts, "document", "", layers, (piece, pieces))
            for piece in range(pieces)
        ]
        assert sum(shard.characters for shard in shards) == sum(map(len, texts)) + 90
        return joined(part, [shard.encoded for shard in shards])

    whole = made(1)
    for pieces in (2, 3, 100):
        same = made(pieces)
        assert (same.part == part).all() and (same.tokens == whole.tokens).all()
        assert same.padded == whole.padded and same.times.layers == whole.times.layers
        assert all(same.vectors[at].tobytes() == whole.vectors[at].tobytes() for at in layers)
