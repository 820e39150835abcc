"""What each option of the commands over the results store changes."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest

from leaderboard.records import Model, PerQuery, Ranking, Run, Task
from leaderboard.storage.store import Store

QUERIES = [f"q{n}" for n in range(40)]


def run(model, task, kind, shift, *, seed=0, costs=None, **view):
    rng = np.random.default_rng(seed)
    metrics = {
        name: np.clip(rng.random(40) * 0.5 + shift, 0, 1) for name in ("ndcg_at_10", "recall_at_10")
    }
    scores = {name: float(values.mean()) for name, values in metrics.items()}
    ranking = Ranking(["q0"], ["d0"], np.zeros((1, 1), np.int32), np.ones((1, 1), np.float32))
    return Run(
        Model(model),
        Task(task, kind),
        scores["ndcg_at_10"],
        scores,
        per_query=PerQuery(QUERIES, metrics),
        costs=costs or {},
        ranking=ranking,
        **view,
    )


@pytest.fixture
def db(home):
    """Three models on three tasks of two types;
    the third lacks one of them and has a grid of views.
    """
    home.mkdir()
    store = Store(home / "results.duckdb")
    tasks = (("SciFact", "Retrieval", 0.0), ("NFCorpus", "Retrieval", 0.0), ("STS12", "STS", 0.2))
    for number, (task, kind, shift) in enumerate(tasks):
        for model, better, rate in (("good", 0.15, 10.0), ("fair", 0.1, 5.0)):
            store.add(
                run(
                    model,
                    task,
                    kind,
                    shift + better,
                    seed=2 * number + (model == "good"),
                    index="torch",
                    costs={"texts_per_second": rate},
                )
            )
    for layer, dim in ((1, 8), (1, 16), (2, 8), (2, 16)):
        for task in ("SciFact", "NFCorpus"):
            lift = 0.01 * layer + 0.001 * dim + (0.2 if task == "NFCorpus" else 0)
            store.add(run("grid", task, "Retrieval", lift, layer=layer, dim=dim, index="torch"))
    return home / "results.duckdb"


@pytest.mark.effect("leaderboard --task", "leaderboard --json")
def test_leaderboard_task(ok, db):
    assert ok("leaderboard", "--task", "STS12", "--json")["tasks"] == ["STS12"]


@pytest.mark.effect("leaderboard --benchmark")
def test_leaderboard_benchmark(ok, db):
    answer = ok("leaderboard", "--benchmark", "MTEB(eng, v2)", "--incomplete", "--json")
    assert "STS12" in answer["tasks"] and "SciFact" not in answer["tasks"]


@pytest.mark.effect("leaderboard --sort")
def test_leaderboard_sort(ok, db):
    Store(db).add(run("specialist", "STS12", "STS", 0.5, index="torch"))
    for task in ("SciFact", "NFCorpus"):
        Store(db).add(run("specialist", task, "Retrieval", 0.02, index="torch"))
    orders = ("mean", "types", "borda")
    first = {
        order: ok("leaderboard", "--sort", order, "--json")["rows"][0]["model"] for order in orders
    }
    assert first == {"mean": "good", "types": "specialist", "borda": "good"}


@pytest.mark.effect("leaderboard --metric")
def test_leaderboard_metric(ok, db):
    means = [
        ok("leaderboard", "--metric", name, "--json")["rows"][0]["mean"]
        for name in ("nDCG@10", "recall@10")
    ]
    assert means[0] != means[1]


@pytest.mark.effect("leaderboard --incomplete")
def test_leaderboard_incomplete(ok, db):
    assert {row["model"] for row in ok("leaderboard", "--incomplete", "--json")["rows"]} == {
        "good",
        "fair",
        "grid",
    }


@pytest.mark.effect("leaderboard --over", "leaderboard --level")
def test_leaderboard_over_and_level(ok, refused, db):
    def width(*options):
        row = ok("leaderboard", "--task", "SciFact", *options, "--json")["rows"][0]
        return row["low"] and row["high"] - row["low"]

    assert 0 < width("--level", "0.8") < width("--level", "0.99")
    assert width("--over", "none") is None
    assert "--over none asks for none" in refused(
        "leaderboard", "--over", "none", "--level", "0.95"
    )


@pytest.mark.effect("leaderboard --pareto")
def test_leaderboard_pareto(ok, db):
    rows = ok("leaderboard", "--pareto", "texts_per_second", "--json")["rows"]
    assert [row["model"] for row in rows if row["pareto"]] == ["good"]


@pytest.mark.effect("leaderboard --format", "compare --format", "grid --format")
def test_formats(ok, refused, db):
    for command in (("leaderboard",), ("compare", "good", "fair"), ("grid", "--model", "grid")):
        assert "\\begin{tabular}" in ok(*command, "--format", "latex")
        assert "| " in ok(*command, "--format", "markdown")
        assert "exclude each other" in refused(*command, "--format", "latex", "--json")
        assert "Unknown format 'nope'" in refused(*command, "--format", "nope")


@pytest.mark.effect(
    "leaderboard --db",
    "compare --db",
    "grid --db",
    "runs list --db",
    "runs show --db",
    "runs diff --db",
    "runs rm --db",
    "runs prune --db",
    "export --db",
)
def test_another_store(ok, home, db, tmp_path):
    other, id = Store(tmp_path / "other.duckdb"), Store(db).runs()["id"][0].as_py()
    for model in ("one", "two"):
        other.add(
            run(model, "SciFact", "Retrieval", 0.1, layer=1 + (model == "two"), index="torch")
        )
    for layer in (3, 4):
        other.add(run("one", "SciFact", "Retrieval", 0.1, layer=layer, index="torch"))
    ids = other.runs()["id"].to_pylist()
    here = ("--db", tmp_path / "other.duckdb")
    models = [row["model"] for row in ok("leaderboard", *here, "--json")["rows"]]
    assert set(models) == {"one", "two"}
    assert ok("compare", "one@layer=3", "two", *here, "--json")["pairs"]
    assert ok("grid", "--model", "one", *here, "--json")["grids"]
    assert ok("runs", "list", *here, "--json")["total"] == 4
    assert ok("runs", "show", ids[0], *here, "--json")["id"] == ids[0] != id
    assert ok("runs", "diff", ids[0], ids[1], *here, "--json")["runs"] == ids[:2]
    assert len(ok("export", tmp_path / "x", "--format", "mteb", *here, "--json")["files"]) > 1
    ok("runs", "rm", ids[0], *here)
    assert other.runs().num_rows == 3
    stray = next((tmp_path / "other.files").rglob("*.parquet"))
    old = stray.with_name(f"{'0' * 32}.parquet")
    old.write_bytes(stray.read_bytes())
    os.utime(old, (0, 0))
    assert "Deleted 1 files" in ok("runs", "prune", *here) and not old.exists()


@pytest.mark.effect("compare --task", "compare --metric", "compare --json")
def test_compare_task_and_metric(ok, db):
    answer = ok("compare", "good", "fair", "--task", "SciFact", "--metric", "recall@10", "--json")
    assert [(pair["task"], pair["metric"]) for pair in answer["pairs"]] == [
        ("SciFact", "recall_at_10")
    ]
    assert len(ok("compare", "good", "fair", "--json")["pairs"]) == 3


@pytest.mark.effect("compare --pairs")
def test_compare_pairs(ok, refused, db):
    Store(db).add(run("third", "SciFact", "Retrieval", 0.3, index="torch"))
    names = ("good", "fair", "third", "fair", "--task", "SciFact")
    pairs = ok("compare", "--pairs", *names, "--json")["pairs"]
    assert [(pair["first"], pair["second"]) for pair in pairs] == [
        ("good", "fair"),
        ("third", "fair"),
    ]
    assert "even number" in refused("compare", "--pairs", "good", "fair", "third")


@pytest.mark.effect("compare --split")
def test_compare_split(ok, db):
    for number, model in enumerate(("good", "fair")):
        store, other = (
            Store(db),
            run(model, "SciFact", "Retrieval", 0.1 * number, seed=number, index="torch"),
        )
        store.add(replace(other, task=replace(other.task, split="dev")))
    (pair,) = ok("compare", "good", "fair", "--split", "dev", "--json")["pairs"]
    assert pair["split"] == "dev" and pair["difference"] < 0


@pytest.mark.effect("compare --test", "compare --correction", "compare --level")
def test_compare_test_correction_level(ok, db):
    def pairs(*options):
        return ok("compare", "good", "fair", *options, "--json")["pairs"]

    p = {test: pairs("--test", test)[0]["p"] for test in ("randomisation", "bootstrap", "t")}
    assert len(set(p.values())) == 3
    corrected = {
        name: [pair["corrected_p"] for pair in pairs("--correction", name)]
        for name in ("holm", "bh", "none")
    }
    assert (
        corrected["none"]
        == [pair["p"] for pair in pairs("--correction", "none")]
        != corrected["holm"]
    )
    assert corrected["holm"] != corrected["bh"]
    narrow, wide = (pairs("--level", level)[0] for level in ("0.8", "0.99"))
    assert narrow["high"] - narrow["low"] < wide["high"] - wide["low"]


@pytest.mark.effect("grid --model", "grid --task", "grid --metric", "grid --json")
def test_grid(ok, db):
    def best(*options):
        return max(
            cell["score"]
            for cell in ok("grid", "--model", "grid", *options, "--json")["grids"][0]["cells"]
        )

    assert best("--task", "NFCorpus") > best() > best("--task", "SciFact")
    assert best("--metric", "recall@10") != best()


@pytest.mark.effect(
    "runs list --model", "runs list --task", "runs list --limit", "runs list --json"
)
def test_runs_list(ok, refused, db):
    answer = ok("runs", "list", "--model", "grid", "--task", "SciFact", "--limit", 3, "--json")
    assert answer["total"] == 4 and len(answer["runs"]) == 3
    assert {(row["model"], row["task"]) for row in answer["runs"]} == {("grid", "SciFact")}
    assert "The results hold no model 'grod'.\nThey hold: grid, good" in refused(
        "runs", "list", "--model", "grod"
    )
    assert "no task 'x'" in refused("runs", "list", "--task", "x")


@pytest.mark.effect("runs show --json", "runs diff --json")
def test_runs_show_and_diff(ok, db):
    first, second = Store(db).runs(model="grid")["id"].to_pylist()[:2]
    assert ok("runs", "show", first, "--json")["scores"].keys() == {"ndcg_at_10", "recall_at_10"}
    assert ok("runs", "diff", first, second, "--json")["main_scores"]


@pytest.mark.effect(
    "export --format", "export --model", "export --task", "export --run", "export --json"
)
def test_export(ok, refused, db, tmp_path):
    import pyarrow.parquet

    id = Store(db).runs(model="fair", task="STS12")["id"][0].as_py()
    for number, (options, count) in enumerate((
        ((), 14), (("--model", "grid"), 8), (("--task", "STS12"), 2), (("--run", id[:12]), 1),
        (("--model", "good", "--task", "SciFact"), 1),
    )):  # fmt: skip
        files = ok("export", tmp_path / str(number), *options, "--json")["files"]
        runs = next(path for path in files if path.endswith("runs.parquet"))
        assert pyarrow.parquet.read_table(runs).num_rows == count, options
    assert all(
        path.endswith(".csv")
        for path in ok("export", tmp_path / "c", "--format", "csv", "--json")["files"]
    )
    problems = {
        "--run": "No run has the id 'zz'",
        "--model": "no model 'zz'",
        "--task": "no task 'zz'",
    }
    for option, problem in problems.items():
        assert problem in refused("export", tmp_path / "none", option, "zz")
    assert not (tmp_path / "none").exists()


@pytest.mark.effect("merge --db", "merge --json")
def test_merge(ok, db, tmp_path):
    assert ok("merge", db, "--db", tmp_path / "all.duckdb", "--json")["runs"] == 14
    assert Store(tmp_path / "all.duckdb").runs().num_rows == 14


@pytest.mark.effect(
    "import --qrels", "import --task", "import --model", "import --split", "import --db"
)
def test_import_of_a_trec_run(ok, refused, home, tmp_path):
    (tmp_path / "run").write_text("q1 Q0 d1 1 3.0 x\nq1 Q0 d2 2 2.0 x\n")
    (tmp_path / "qrels").write_text("q1 0 d2 1\n")
    options = ("--qrels", tmp_path / "qrels", "--task", "T", "--model", "m", "--split", "dev")
    assert (
        ok("import", tmp_path / "run", *options, "--db", tmp_path / "o.duckdb", "--json")["runs"]
        == 1
    )
    (row,) = Store(tmp_path / "o.duckdb").runs().to_pylist()
    assert (row["model"], row["task"], row["split"]) == ("m", "T", "dev")
    assert row["main_score"] == pytest.approx(1 / np.log2(3))
    for option in (
        ("--task", "T"),
        ("--model", "m"),
        ("--split", "dev"),
        ("--qrels", tmp_path / "qrels"),
    ):
        assert "are for a TREC run" in refused("import", tmp_path, *option)
    (tmp_path / "run").write_text("q1 Q0 d1 1 2.5 t\n")
    run = (
        "import", tmp_path / "run", "--task", "T", "--model", "m", "--qrels", tmp_path / "nowhere",
    )  # fmt: skip
    assert f"There is no file {tmp_path / 'nowhere'}." in refused(*run)
    assert "is a directory" in refused(*run[:-1], tmp_path).lower()
    assert "--processes is for a folder" in refused(*run, "--processes", 2)


@pytest.mark.effect("import --processes", "import --json")
def test_import_by_several_processes(ok, home, tmp_path, monkeypatch):
    from leaderboard.exchange import importing

    made, plain = [], importing.ProcessPoolExecutor
    monkeypatch.setattr(
        importing, "ProcessPoolExecutor", lambda n, *a, **k: made.append(n) or plain(n, *a, **k)
    )
    folder = tmp_path / "results/org__m/rev"
    folder.mkdir(parents=True)
    scores = {
        "test": [
            {
                "hf_subset": "default",
                "languages": ["eng-Latn"],
                "main_score": 0.5,
                "ndcg_at_10": 0.5,
            }
        ]
    }
    # Files that a process takes at a time.
    monkeypatch.setitem(importing.import_unread.__kwdefaults__, "chunk", 1)
    for task in ("SciFact", "NFCorpus", "ArguAna"):
        result = {"task_name": task, "mteb_version": "2", "dataset_revision": "r", "scores": scores}
        (folder / f"{task}.json").write_text(json.dumps(result))
    assert ok("import", tmp_path / "results", "--processes", 2, "--json")["runs"] == 3
    assert made == [2]
    assert (
        ok(
            "import",
            tmp_path / "results",
            "--processes",
            1,
            "--db",
            tmp_path / "o.duckdb",
            "--json",
        )["runs"]
        == 3
    )
    assert made == [2]
