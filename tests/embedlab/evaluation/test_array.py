"""A plan that processes without knowledge of each other share: joined, it is what one gives."""

import json
import os
import shutil

import numpy as np
import pytest

import embedlab
from embedlab import tasks
from embedlab.array_share import Share
from embedlab.errors import UserError
from embedlab.evaluation.shares import planned
from embedlab.models import composition
from leaderboard.storage.store import Store
from tests import ready
from tests.beir_folder import write_beir
from tests.store_content import content, unlike

WORDS = [f"w{n}" for n in range(200)]


@pytest.fixture(scope="module")
def plan(tiny_folder, tmp_path_factory):
    """Three models, one of them broken, on two collections: the options of `eval`, without bm25."""
    place = tmp_path_factory.mktemp("plan")
    other = shutil.copytree(tiny_folder, place / "other")  # its settings are other ones
    modules = json.loads((other / "modules.json").read_text())
    (other / "modules.json").write_text(json.dumps(modules[:2]))  # not normalised
    broken = shutil.copytree(tiny_folder, place / "broken")
    (broken / "model.safetensors").write_bytes(b"no weights")
    collections = [
        write_beir(place / name, WORDS, documents, 6, seed)
        for seed, (name, documents) in enumerate((("small", 20), ("large", 60)))
    ]
    models = (tiny_folder, other, broken, f"rrf({tiny_folder}, {other})")
    return [
        *(word for model in models for word in ("--model", model)),
        *(word for collection in collections for word in ("--task", collection)),
        "--dtype", "float32", "--index", "torch", "--json",
    ]  # fmt: skip


def start(home, *words):
    return ready.Process("-m", "embedlab", *words, env={**os.environ, "EMBEDLAB_HOME": str(home)})


@pytest.mark.effect("eval --array")
def test_the_shares_of_three_processes_at_once_are_one_run(plan, tmp_path):
    """And another process encodes the same texts into the same folder meanwhile."""
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    start(alone, "eval", *plan).communicate()
    processes = [
        start(shared, "eval", *plan, "--db", tmp_path / "whole.duckdb"),
        *(start(shared, "eval", *plan, "--array", f"{index}/3") for index in range(3)),
    ]
    said = [process.communicate() for process in processes]
    ran = [len(json.loads(out)["runs"]) for out, _ in said]
    assert ran[0] == 6 == sum(ran[1:]) and all(ran), said
    stores = [shared / f"results-{index}-of-3.duckdb" for index in range(3)]
    merging = start(shared, "merge", *stores, "--json")
    assert json.loads(merging.communicate()[0]) == {"runs": 6, "failures": 2, "known": 0}
    once = content(alone / "results.duckdb")
    for store in (shared / "results.duckdb", tmp_path / "whole.duckdb"):
        assert unlike(content(store), once) == {}
    verified = start(shared, "cache", "verify", "--json")
    assert json.loads(verified.communicate()[0])["problems"] == [] and verified.returncode == 0


@pytest.mark.parametrize("parts", [1, 3, 7, 100])
@pytest.mark.parametrize("turn", [0, 1])
def test_no_evaluation_is_lacking_or_done_twice(home, parts, turn):
    named = ("bm25", "all-minilm-l6-v2", "bge-en-icl")
    models = [composition.find(name) for name in named]
    asked = tasks.resolve(["SciFact", "MSMARCO", "STSBenchmark", "stdlib-mini"])
    shares = [planned(f"{index}/{parts}", models, asked, turn) for index in range(parts)]
    for own in zip(*shares, strict=True):
        done = [task.metadata.name for part in own for task in part]
        assert sorted(done) == sorted(task.metadata.name for task in asked)
    if parts == 3:  # seven billion parameters over MS MARCO are more than all the rest
        (heaviest,) = [share for share in shares if "MSMARCO" in names(share[2])]
        assert sum(map(len, heaviest)) == 1


def names(found):
    return [task.metadata.name for task in found]


def test_slurm_spreads_the_dtypes_of_one_evaluation_as_well(cli, home, plan, tmp_path, monkeypatch):
    (tmp_path / "x.toml").write_text('dtypes = ["float32", "bfloat16"]\n')
    one = [*plan[:2], *plan[8:10], "--config", tmp_path / "x.toml", "--json"]
    found = []
    for number in ("10", "11"):  # sbatch --array=10-11
        for name, value in (("ID", number), ("MIN", "10"), ("COUNT", "2")):
            monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", value)
        code, out, err = cli("eval", *one, "--array", "slurm")
        assert code == 0, err
        found += [run["settings"]["dtype"] for run in json.loads(out)["runs"]]
    assert found == ["float32", "bfloat16"]
    assert {path.name for path in home.glob("*.duckdb")} == {
        "results-0-of-2.duckdb",
        "results-1-of-2.duckdb",
    }


def test_more_shares_than_work(cli, home, plan):
    code, out, err = cli("eval", *plan[:2], *plan[8:10], "--array", "1/2", "--json")
    assert (code, json.loads(out)) == (0, {"runs": []})
    assert "Share 1/2 has nothing to do" in err
    code, out, err = cli("merge", home / "results-1-of-2.duckdb", "--json")
    assert (code, json.loads(out)["runs"]) == (0, 0)


def test_shares_in_python(home, plan):
    def length(texts):
        return np.array([[len(text), 1.0] for text in texts])

    shares = [
        embedlab.evaluate({"a": length, "b": length}, plan[9], array=f"{n}/3", progress=False)
        for n in range(3)
    ]
    assert [len(share.failures) for share in shares] == [0, 0, 0]
    stores = [Store(home / f"results-{n}-of-3.duckdb") for n in range(3)]
    assert [store.runs()["model"].to_pylist() for store in stores] == [["a"], ["b"], []]


def test_merge_says_which_share_is_lacking(cli, home):
    for index in (0, 2):
        Store(home / f"results-{index}-of-4.duckdb").make()
    code, _, err = cli("merge", *(home / f"results-{index}-of-4.duckdb" for index in (0, 2)))
    assert code == 0
    assert [line.split()[0] for line in err.splitlines() if "share" in line] == [
        "results-1-of-4.duckdb",
        "results-3-of-4.duckdb",
    ]


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("3/3", "there is no such share"),
        ("0/0", "there is no such share"),
        ("-1/2", "is no share of a plan"),
        ("a/b", "is no share of a plan"),
        ("1", "is no share of a plan"),
        ("slurm", "SLURM_ARRAY_TASK_ID is not set"),
    ],
)
def test_what_is_no_share_is_refused(cli, home, monkeypatch, typed, problem):
    monkeypatch.delenv("SLURM_ARRAY_TASK_ID", raising=False)
    code, _, err = cli("eval", "--model", "bm25", "--task", "SciFact", f"--array={typed}")
    assert code == 2 and problem in err and "Traceback" not in err
    assert not list(home.glob("*.duckdb"))


def test_prompts_are_compared_in_one_process(cli, home, tmp_path):
    (tmp_path / "p.toml").write_text('a = "query: "\n')
    command = ("eval", "-m", "bm25", "-t", "SciFact", "--prompts", tmp_path / "p.toml")
    code, _, err = cli(*command, "--array", "0/2")
    assert code == 2 and "--array does a share" in err


def test_slurm_says_which_share(monkeypatch):
    for name, value in (("ID", "12"), ("MIN", "10"), ("COUNT", "4")):
        monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", value)
    assert str(Share.read("slurm")) == "2/4"
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "14")  # --array=10,11,12,14
    with pytest.raises(UserError, match="has gaps"):
        Share.read("slurm")
