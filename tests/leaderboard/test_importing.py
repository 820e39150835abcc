"""Public results in: MTEB's files of several versions, tables of scores, TREC files."""

import csv
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from leaderboard.errors import Malformed
from leaderboard.exchange.importing import (
    import_files,
    import_unread,
    result_files,
    unread,
)
from leaderboard.exchange.ir_files import is_table, read_table, read_trec_run
from leaderboard.exchange.mteb_files import TaskFacts, read
from leaderboard.exchange.qrels import read_qrels
from leaderboard.storage.store import Store
from leaderboard.tables.standings import rank

REFERENCE = Path(__file__).parents[2] / "../shared/data/reference"
FACTS = {
    "SciFact": TaskFacts("SciFact", "Retrieval", "ndcg_at_10"),
    "STS22": TaskFacts("STS22", "STS", "cosine_spearman"),
    "PPC": TaskFacts("PpcPC", "PairClassification", "max_ap"),
}
reader = partial(read, facts=FACTS)


def _entry(score: float, subset: str = "default", **more) -> dict:
    return {"main_score": score, "hf_subset": subset, "languages": ["eng-Latn"], **more}


def _result(task: str, entries: list[dict], version: str | None = "1.18.0") -> dict:
    return {
        "task_name": task,
        "dataset_revision": "r1",
        "mteb_version": version,
        "evaluation_time": 2.5,
        "scores": {"test": entries},
    }


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results.duckdb")


@pytest.fixture
def results(tmp_path):
    """A results folder: two models, one of them with self-reported scores,
    three formats, four broken files.
    """
    files = {
        "org__one/abc/SciFact.json": _result(
            "SciFact", [_entry(0.5, ndcg_at_10=0.5, map_at_10=0.4)]
        ),
        "org__one/external/SciFact.json": _result("SciFact", [_entry(0.6)], version=None),
        "org__two/def/STS22.json": {
            "mteb_dataset_name": "STS22",
            "dataset_revision": "r0",
            "mteb_version": "1.0.2",
            "test": {
                "en": {"cos_sim": {"spearman": 0.7, "pearson": 0.6}},
                "de": {"cos_sim": {"spearman": 0.3}},
                "evaluation_time": 3.5,
            },
        },
        "org__two/def/PPC.json": _result(
            "PPC", [_entry(0.9, max={"ap": 0.9}, scores_per_experiment=[1.0])], "1.12.20"
        ),
        "org__two/def/experiments/dim_2/SciFact.json": _result("SciFact", [_entry(0.1)]),
        "org__two/def/empty.json": "",
        "org__two/def/list.json": [1, 2],
        "org__two/def/scoreless.json": _result(
            "SciFact", [{"hf_subset": "default", "languages": []}]
        ),
        "org__two/def/half.json": '{"task_name": "SciFact", "scores": {"test": [{"main_sc',
    }
    folder = tmp_path / "results"
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    (folder / "org__two/def/model_meta.json").write_text(
        json.dumps(
            {"name": "org/two-by-name", "revision": "def", "embed_dim": 384, "n_parameters": 1000}
        )
    )
    return folder


def test_files_of_several_versions(store, results):
    report = import_files(store, result_files(results), reader)
    assert (report.files, report.known, report.runs) == (4, 0, 5)
    problems = {path.name: problem for path, problem in report.malformed}
    assert set(problems) == {"empty.json", "list.json", "scoreless.json", "half.json"}
    assert problems["list.json"] == "a JSON list, not an object"
    assert problems["scoreless.json"] == "no main score for split 'test', subset 'default'"
    found = {(r["model"], r["task"], r["subset"]): r for r in store.runs(source="mteb").to_pylist()}
    scores = {key: run["main_score"] for key, run in found.items()}
    assert scores == {
        ("org/one", "SciFact", "default"): 0.5,
        ("org/two-by-name", "STS22", "en"): 0.7,
        ("org/two-by-name", "STS22", "de"): 0.3,
        ("org/two-by-name", "PpcPC", "default"): 0.9,
    }
    (external,) = store.runs(source="mteb-external").to_pylist()
    assert (external["model"], external["model_revision"], external["main_score"]) == (
        "org/one",
        "external",
        0.6,
    )
    run = store.run(found["org/two-by-name", "STS22", "en"]["id"])
    assert run.scores == {"cosine_spearman": 0.7, "cosine_pearson": 0.6}
    assert (run.task.type, run.task.main_metric) == ("STS", "cosine_spearman")
    assert run.model.details == {"dim": 384, "parameters": 1000}
    assert store.run(found["org/one", "SciFact", "default"]["id"]).costs == {
        "evaluation_seconds": 2.5
    }


def test_what_one_subset_lacks_costs_the_others_nothing(store, tmp_path):
    path = tmp_path / "results/lab__nan/r1/STS22.json"
    path.parent.mkdir(parents=True)
    entries = [
        _entry(0.6, "en"),
        _entry(float("nan"), "pl"),
        _entry(0.5, "de"),
        {"hf_subset": "fr"},
    ]
    path.write_text(json.dumps(_result("STS22", entries)))
    report = import_files(store, result_files(tmp_path / "results"), reader)
    problem = (
        "no main score for split 'test', subset 'pl'; no main score for split 'test', subset 'fr'"
    )
    assert (report.files, report.runs, report.malformed) == (1, 2, [(path, problem)])
    assert {run["subset"]: run["main_score"] for run in store.runs().to_pylist()} == {
        "en": 0.6,
        "de": 0.5,
    }
    table = tmp_path / "anserini.csv"
    table.write_text(ANSERINI.replace("nDCG@10,0.5", "nDCG@10,nan"))
    report = import_files(store, [table], read_table)
    assert (report.runs, report.malformed) == (
        1,
        [(table, "no nDCG@10 of splade-v3-onnx on robust04")],
    )


def test_values_of_a_wrong_type_cost_no_other_file(store, tmp_path):
    """Broken files of every kind in one archive: what is sound of them and the rest counts."""
    odd = _entry(0.5) | {"languages": 7}
    files = {
        "org__one/r1/SciFact.json": _result("SciFact", [_entry(0.4)]),
        "org__one/r1/Unknown.json": _result("Unknown", [_entry(0.1)]),
        "org__one/r1/STS22.json": _result("STS22", [odd | {"hf_subset": None}], version=3),
        "org__two/r1/SciFact.json": _result("SciFact", [_entry(0.9)]),
        "org__two/r1/model_meta.json": {"name": 3},
        "org__three/r1/SciFact.json": _result("SciFact", [_entry(0.8)]),
        "org__three/r1/model_meta.json": {"n_parameters": "x", "training_datasets": 5},
    }
    for name, content in files.items():
        path = tmp_path / "results" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    report = import_files(store, result_files(tmp_path / "results"), reader)
    (malformed,) = report.malformed
    assert malformed[0].parent.parent.name == "org__two"
    assert malformed[1] == "model_meta.json has a name or a revision that is no text"
    assert {
        (run["task"], run["subset"], run["main_score"]) for run in store.runs().to_pylist()
    } == {
        ("SciFact", "default", 0.4),
        ("Unknown", "default", 0.1),
        ("STS22", "default", 0.5),
        ("SciFact", "default", 0.8),
    }
    assert rank(store, incomplete=True).type_names == ["STS", "Retrieval"]
    best, second = rank(store, ["SciFact"]).rows
    assert (best.name, best.zero_shot, best.facts.parameters) == ("org/three", None, None)
    assert second.name == "org/one"
    (tmp_path / "results/org__two/r1/model_meta.json").write_text("{}")
    again = import_files(store, result_files(tmp_path / "results"), reader)
    assert (again.files, again.known, again.malformed) == (1, 4, [])


def test_a_repeated_import_does_nothing_and_a_changed_file_replaces_its_runs(store, results):
    import_files(store, result_files(results), reader)
    before = store.stamp()
    again = import_files(store, result_files(results), reader)
    assert (again.files, again.known, again.runs, len(again.malformed)) == (0, 4, 0, 4)
    assert store.stamp() == before
    changed = results / "org__one/abc/SciFact.json"
    changed.write_text(json.dumps(_result("SciFact", [_entry(0.55, ndcg_at_10=0.55)])))
    assert import_files(store, result_files(results), reader).files == 1
    (run,) = store.runs(model="org/one", source="mteb").to_pylist()
    assert run["main_score"] == 0.55
    assert store.run(run["id"]).scores == {"ndcg_at_10": 0.55}
    assert store.runs().num_rows == 5
    store.remove(run["id"])
    assert import_files(store, result_files(results), reader).runs == 1


def test_only_what_changed_is_read(store, tmp_path):
    folder = tmp_path / "results/lab__one/r1"
    folder.mkdir(parents=True)
    both = _result("STS22", [_entry(0.6, "en"), _entry(0.5, "de")])
    partly = _result("STS22", [_entry(0.4, "en"), {"hf_subset": "fr"}])
    for name, content in {"a": both, "b": partly, "c": "{", "d": both}.items():
        text = content if isinstance(content, str) else json.dumps(content).replace("STS22", name)
        (folder / f"{name}.json").write_text(text)
    taken, counted = [], []

    def reading(path: Path, content: bytes) -> list:
        taken.append(path.stem)
        return reader(path, content)

    def again(version: str = "1") -> tuple[str, list[str], int]:
        taken.clear()
        new = unread(store, result_files(tmp_path), version)
        looked_at = "".join(path.stem for path, _ in new.files)
        report = import_unread(store, new, reading, processes=1)
        counted.append(report.known + report.files)
        return looked_at, taken[:], len(report.malformed)

    assert again() == ("abcd", ["a", "b", "c", "d"], 2)
    assert again() == ("", [], 2), "what could not be read is listed, not read"
    assert again("2") == ("bc", ["b", "c"], 2), "another version may read more"
    (folder / "d.json").touch()
    assert again("2") == ("d", [], 2), "a file that was written anew, but as it was"
    assert again("2") == ("", [], 2)
    was = (folder / "a.json").read_text()
    (folder / "a.json").write_text(json.dumps(_result("a", [_entry(0.7, "en")])))
    assert again("2") == ("a", ["a"], 2)
    found = {(run["task"], run["subset"]): run["main_score"] for run in store.runs().to_pylist()}
    of_d = {("d", "en"): 0.6, ("d", "de"): 0.5}
    assert found == {("a", "en"): 0.7, ("b", "en"): 0.4, **of_d}, "what it gives no more is gone"
    (folder / "a.json").write_text(was)
    assert again("2") == ("a", ["a"], 2)
    assert store.runs().num_rows == 5
    (folder / "a.json").write_text("broken now")
    assert again("2") == ("a", ["a"], 3) and store.runs().num_rows == 5
    assert counted == [3] * 7 + [2]


def test_an_interrupted_import_goes_on_and_processes_agree(store, tmp_path):
    folder = tmp_path / "many"
    for model in range(4):
        (folder / f"m{model}/r").mkdir(parents=True)
        for task in range(10):
            (folder / f"m{model}/r/T{task}.json").write_text(
                json.dumps(_result(f"T{task}", [_entry(model + task / 10)]))
            )
    files, done = result_files(folder), []

    def interrupt(count: int) -> None:
        done.append(count)
        if len(done) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_files(store, files, reader, processes=1, chunk=10, progress=interrupt)
    assert store.runs().num_rows == 20
    report = import_files(store, files, reader, processes=2, chunk=7)
    assert (report.files, report.known) == (20, 20)
    found = {(run["model"], run["task"]): run["main_score"] for run in store.runs().to_pylist()}
    assert found == {(f"m{m}", f"T{t}"): m + t / 10 for m in range(4) for t in range(10)}


def test_scores_equal_what_mteb_reads_from_the_same_files(results):
    from mteb.results import TaskResult

    for name in ("org__one/abc/SciFact.json", "org__two/def/STS22.json"):
        path = results / name
        theirs = {
            (split, entry["hf_subset"]): entry["main_score"]
            for split, entries in TaskResult.from_disk(path).scores.items()
            for entry in entries
        }
        assert {
            (run.task.split, run.task.subset): run.main_score
            for run in reader(path, path.read_bytes())
        } == theirs


ANSERINI = """dataset,config,model,topic_set,metric,value,total_terms
scifact,flat,bm25,test,nDCG@10,0.6789,
scifact,flat,bm25,test,R@100,0.9253,
robust04,splade-v3.onnx,splade-v3-onnx,test,nDCG@10,0.5,
"""
PYSERINI = (
    "condition,dataset,nDCG@10,R@100\nbm25-flat,scifact,0.6789,0.9253\ncontriever,nq,0.2536,0.5\n"
)


def test_tables_of_anserini_and_pyserini(store, tmp_path):
    for name, content in (("anserini.csv", ANSERINI), ("pyserini.csv", PYSERINI)):
        path = tmp_path / name
        path.write_text(content)
        assert is_table(path)
        assert import_files(store, [path], read_table).runs == 2
    found = {
        (r["model"], r["model_revision"], r["task"], r["kind"]): r["main_score"]
        for r in store.runs().to_pylist()
    }
    assert found == {
        ("anserini/bm25", "flat", "SciFact", "lexical"): 0.6789,
        ("anserini/splade-v3-onnx", "splade-v3.onnx", "robust04", "sparse"): 0.5,
        ("pyserini/bm25-flat", "", "SciFact", "lexical"): 0.6789,
        ("pyserini/contriever", "", "NQ", "dense"): 0.2536,
    }
    assert sorted(store.scores("recall_at_100", task="SciFact")["value"].to_pylist()) == [
        0.9253,
        0.9253,
    ]


@pytest.mark.parametrize(
    "content", [b"a,b\n1,2\n", b"condition,dataset,nDCG@10\nx,y,high\n", b"\xff\xfe", b""]
)
def test_other_tables_are_malformed(content):
    with pytest.raises(Malformed):
        read_table(Path("some.csv"), content)


def test_a_trec_run_ranks_by_score(tmp_path):
    path = tmp_path / "run"
    path.write_text("q1 Q0 a 1 1.5 tag\nq1 Q0 b 2 2.5 tag\n\nq2\tQ0\tb\t1\t-1e3\ttag\n")
    run = read_trec_run(path)
    assert (run.query_ids, run.document_ids) == (["q1", "q2"], ["a", "b"])
    np.testing.assert_array_equal(run.rows, [[0, 1], [1, -1]])
    np.testing.assert_array_equal(run.scores, np.array([[1.5, 2.5], [-1e3, -np.inf]], np.float32))
    (tmp_path / "qrels").write_text("q1 0 a 1\nq1 0 b 0\n")
    assert read_qrels(tmp_path / "qrels") == {"q1": {"a": 1, "b": 0}}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("q Q0 d 1 0.5", "5 columns, not 6"),
        ("q Q0 d 1 nan t", "not a number"),
        ("q Q0 d 1 1 t\nq Q0 d 2 1 t", ":2: .*second"),
    ],
)
def test_a_malformed_trec_run_names_the_line(tmp_path, line, problem):
    (tmp_path / "run").write_text(line)
    with pytest.raises(Malformed, match=problem):
        read_trec_run(tmp_path / "run")


@pytest.mark.skipif(
    not REFERENCE.is_dir(), reason="needs the published results in ../shared/data/reference"
)
def test_main_scores_equal_the_published_ones(store):
    report = import_files(store, result_files(REFERENCE / "mteb-results"), partial(read, facts={}))
    assert (report.files, report.malformed) == (905, [])
    names = ("model", "model_revision", "task", "split", "subset")
    ours = {
        tuple(run[name] for name in names): run["main_score"] for run in store.runs().to_pylist()
    }
    compared = 0
    with (REFERENCE / "mteb_main_scores.csv").open() as file:
        for row in csv.DictReader(file):
            key = (
                row["model"].replace("__", "/"),
                row["revision"],
                row["task"],
                row["split"],
                row["hf_subset"],
            )
            if key in ours:
                assert ours[key] == float(row["main_score"]), key
                compared += 1
    assert compared >= len(ours) == 3514
