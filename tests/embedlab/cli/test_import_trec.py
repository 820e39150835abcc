"""`embedlab import` of TREC runs: which judgements scored a run is part of what it is a run of."""

import json

import pytest

from leaderboard.storage.store import Store
from tests.embedlab.cli.test_eval import folder  # noqa: F401 (a fixture)

RUN = "q1 Q0 d1 1 9 t\nq1 Q0 d9 2 8 t\nq2 Q0 d2 1 9 t\nq2 Q0 d8 2 8 t\n"
QRELS = {"a": "q1 0 d1 1\nq2 0 d2 1\n", "b": "q1 0 d9 1\nq1 0 d1 0\nq2 0 d8 2\n"}


@pytest.fixture
def trec(cli, home, tmp_path):
    """Import a run: its text, the text of its qrels, the model, the task."""

    def run(lines: str, qrels: str, model: str, *options: object, task: str = "T") -> dict:
        (tmp_path / "run").write_text(lines)
        (tmp_path / "qrels").write_text(qrels)
        given = ("--qrels", tmp_path / "qrels", "--task", task, "--model", model)
        code, _, err = cli("import", tmp_path / "run", *given, *options)
        assert (code, "Warning" in err) == (0, False), err
        return Store(home / "results.duckdb").runs(model=model).to_pylist()[0]

    return run


def test_scores_by_other_judgements_do_not_compare(cli, trec):
    trec(RUN, QRELS["a"], "one")
    trec(RUN, QRELS["b"], "two")
    code, _, err = cli("compare", "one", "two", "--task", "T")
    assert code == 2 and "different revisions of T" in err
    answer = json.loads(cli("leaderboard", "--json")[1])
    assert any("different revisions of T" in note for note in answer["notes"])
    # The same judgements.
    trec(RUN, "".join(reversed(QRELS["a"].splitlines(keepends=True))), "three")
    assert cli("compare", "one", "three", "--task", "T")[0] == 0


def test_judgements_leave_the_store_with_their_runs(cli, trec, tmp_path):
    scores = {name: trec(RUN, qrels, name)["main_score"] for name, qrels in QRELS.items()}
    code, out, err = cli("export", tmp_path / "out", "--format", "trec", "--json")
    assert code == 0, err
    files = json.loads(out)["files"]
    assert len(files) == 4
    for name, expected in scores.items():
        (run_file,) = (path for path in files if f"/{name}." in path)
        (judged,) = (
            path for path in files if "/qrels/" in path and run_file.split("/")[-2] in path
        )
        again = ("--qrels", judged, "--task", "T", "--model", f"again {name}", "--json")
        assert cli("import", run_file, *again)[0] == 0
        (row,) = json.loads(cli("runs", "list", "--model", f"again {name}", "--json")[1])["runs"]
        assert row["main_score"] == expected


def test_a_run_of_an_evaluated_task_compares_with_it(cli, home, folder, tmp_path):  # noqa: F811
    assert cli("eval", "-m", "bm25", "-t", folder)[0] == 0
    (here,) = Store(home / "results.duckdb").runs().to_pylist()
    files = json.loads(cli("export", tmp_path / "out", "--format", "trec", "--json")[1])["files"]
    given = ("--qrels", files[1], "--task", here["task"], "--model", "other")
    assert cli("import", files[0], *given)[0] == 0
    (row,) = Store(home / "results.duckdb").runs(model="other").to_pylist()
    assert row["task_revision"] == here["task_revision"]
    (pair,) = json.loads(cli("compare", "bm25", "other", "--json")[1])["pairs"]
    assert pair["difference"] == 0 and pair["queries"]


def test_scores_that_float32_does_not_hold_rank_as_in_trec_eval(trec):
    pytrec_eval = pytest.importorskip("pytrec_eval")
    scores = {
        "q1": {"d1": -1e39, "d2": 1e39, "d3": 2e39, "d4": 0.0},
        "q2": {"d1": 1e-60, "d5": 0.0, "d2": -1e-60},
    }
    qrels = {"q1": {"d1": 1, "d2": 2}, "q2": {"d2": 1}}
    lines = "".join(
        f"{query} Q0 {d} 1 {score!r} t\n"
        for query, among in scores.items()
        for d, score in among.items()
    )
    judged = "".join(
        f"{query} 0 {d} {grade}\n" for query, among in qrels.items() for d, grade in among.items()
    )
    found = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10"}).evaluate(scores)
    expected = sum(of_query["ndcg_cut_10"] for of_query in found.values()) / 2
    assert trec(lines, judged, "m")["main_score"] == pytest.approx(expected, abs=1e-9)
