"""runs, import, export and merge, typed as a user types them."""

import json
import re
import sys

import numpy as np
import pytest
import pytrec_eval

from embedlab.cli import run
from leaderboard.records import Model, Ranking, Run, Task
from leaderboard.storage.store import Store


@pytest.fixture
def embedlab(monkeypatch, capsys, tmp_path):
    """Runs a command line; returns the exit code, standard output and standard error."""
    monkeypatch.setenv("EMBEDLAB_HOME", str(tmp_path))

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["embedlab", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            run()
        return ended.value.code or 0, *capsys.readouterr()

    return call


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "results.duckdb")
    for id, prompt in (("aaa1", "query: "), ("bbb2", "")):
        resolved = {
            "prompts": {"query": prompt},
            "first_inputs": [f"{prompt}is [bold]it[/bold] so?"],
            "dtype": "float32",
        }
        ranking = Ranking(["q"], ["d"], np.zeros((1, 1), np.int32), np.ones((1, 1), np.float32))
        task = Task("SciFact", "Retrieval", details={"languages": ["eng-Latn"]})
        scores = {"ndcg_at_10": len(prompt) / 10}
        store.add(
            Run(
                Model("org/m"),
                task,
                scores["ndcg_at_10"],
                scores,
                resolved=resolved,
                ranking=ranking,
                id=id,
            )
        )
    return store


def test_list_show_and_remove(embedlab, store):
    code, out, _ = embedlab("runs", "list", "--json")
    assert (code, [r["id"] for r in json.loads(out)["runs"]]) == (0, ["bbb2", "aaa1"])
    assert "SciFact" in embedlab("runs", "list", "--model", "org/m")[1]
    code, out, _ = embedlab("runs", "show", "aaa", "--json")
    assert json.loads(out)["settings"]["resolved.prompts.query"] == "query: "
    assert "query: is [bold]it[/bold] so?" in embedlab("runs", "show", "aaa")[1]
    assert embedlab("runs", "rm", "aaa")[:2] == (0, "Removed aaa1.\n")
    assert store.runs()["id"].to_pylist() == ["bbb2"]
    code, _, error = embedlab("runs", "rm", "aaa")
    assert (code, error) == (2, "Error: No run has the id 'aaa'.\nType: embedlab runs list\n")


def test_diff_shows_what_differs_and_nothing_else(embedlab, store):
    code, out, _ = embedlab("runs", "diff", "aaa", "bbb", "--json")
    answer = json.loads(out)
    assert code == 0
    assert answer["differences"] == [
        {"name": "resolved.prompts.query", "first": "query: ", "second": ""}
    ]
    assert answer["first_inputs"] == [
        {"first": "query: is [bold]it[/bold] so?", "second": "is [bold]it[/bold] so?"}
    ]
    assert "resolved.prompts.query" in embedlab("runs", "diff", "aaa", "bbb")[1]
    assert "No setting differs." in embedlab("runs", "diff", "aaa", "aaa")[1]


def test_export_import_and_merge(embedlab, store, tmp_path):
    code, out, _ = embedlab("export", tmp_path / "out", "--format", "mteb", "--json")
    assert code == 0 and any(path.endswith("SciFact.json") for path in json.loads(out)["files"])
    (tmp_path / "out/results/org__m/none/broken.json").write_text("{")
    other = tmp_path / "other.duckdb"
    code, out, error = embedlab("import", tmp_path / "out/results", "--db", other)
    assert code == 0 and out.startswith("Read 1 files, 1 runs") and "broken.json: no JSON" in error
    (row,) = Store(other).runs().to_pylist()
    assert (row["model"], row["type"], row["main_metric"], row["main_score"]) == (
        "org/m",
        "Retrieval",
        "ndcg_at_10",
        0.0,
    )
    code, out, _ = embedlab("merge", other, "--json")
    assert json.loads(out) == {"runs": 1, "failures": 0, "known": 0}
    assert store.runs().num_rows == 3


def test_a_trec_run_is_scored_by_its_qrels(embedlab, tmp_path):
    (tmp_path / "run").write_text("1 Q0 d1 1 3.0 x\n1 Q0 d2 2 2.0 x\n9 Q0 d2 1 2.0 x\n")
    (tmp_path / "qrels").write_text("1 0 d2 1\n2 0 d1 2\n3 0 d1 0\n")
    command = (
        "import", tmp_path / "run", "--qrels", tmp_path / "qrels", "--task", "T", "--model", "m",
    )  # fmt: skip
    assert embedlab(*command)[0] == embedlab(*command)[0] == 0
    store = Store(tmp_path / "results.duckdb")
    (row,) = store.runs().to_pylist()
    # Query 2 has no result, 3 nothing relevant: 0.
    assert row["main_score"] == pytest.approx(1 / np.log2(3) / 3)
    assert store.ranking(row["id"]).query_ids == ["1", "2", "3"]
    _, _, told = embedlab(*command)
    assert (
        "ranks 1 of the 3 judged queries; the others score 0; 1 of its queries are not judged."
        in told
    )
    (tmp_path / "run").write_text("1 Q0 d1 1 high x\n")
    code, _, error = embedlab(*command)
    assert code == 2 and "run:1: the score 'high' is not a number" in error
    code, _, error = embedlab("import", tmp_path / "run")
    assert code == 2 and "--qrels" in error
    code, _, error = embedlab("import", tmp_path / "absent")
    assert code == 2 and "no file or folder" in error
    (tmp_path / "nothing").mkdir()
    code, _, error = embedlab("import", tmp_path / "nothing")
    assert code == 2 and "There is no result file in" in error


@pytest.mark.parametrize(
    ("run", "qrels", "problem"),
    [
        (
            "1 Q0 d1 1 3 x\n",
            "1 0 d1 1\n1 0 d1 0\n",
            r"qrels:2 gives document 'd1' the grade 0 for query '1', an ear",
        ),
        (
            "7 Q0 d1 1 3 x\n",
            "1 0 d1 1\n",
            r"run ranks none of the queries that .*qrels judges: it has '7', the q",
        ),
        (
            "1 Q0 D1 1 3 x\n",
            "1 0 d1 1\n",
            r"run ranks none of the documents that .*qrels judges: it has 'D1', the q",
        ),
        ("\n", "1 0 d1 1\n", "run ranks nothing"),
        ("1 Q0 d1 1 3 x\n", "1 0 d1 0\n", "has no positive judgement"),
    ],
)
def test_a_trec_run_that_would_score_wrongly_is_refused(embedlab, tmp_path, run, qrels, problem):
    (tmp_path / "run").write_text(run)
    (tmp_path / "qrels").write_text(qrels)
    code, _, error = embedlab(
        "import", tmp_path / "run", "--qrels", tmp_path / "qrels", "--task", "T", "--model", "m"
    )
    assert code == 2 and re.search(problem, error)
    assert not Store(tmp_path / "results.duckdb").runs().num_rows


def test_a_byte_order_mark_is_no_part_of_an_id(embedlab, tmp_path):
    (tmp_path / "run").write_text("\ufeff1 Q0 d1 1 3 x\n2 Q0 d2 1 3 x\n")
    (tmp_path / "qrels").write_text("\ufeff1 0 d1 1\n2 0 d2 1\n")
    assert (
        embedlab(
            "import", tmp_path / "run", "--qrels", tmp_path / "qrels", "--task", "T", "--model", "m"
        )[0]
        == 0
    )
    (row,) = Store(tmp_path / "results.duckdb").runs().to_pylist()
    assert row["main_score"] == 1


def test_import_and_eval_agree_with_trec_eval(embedlab, tmp_path):
    """One ranking and its qrels through both doors:
    a query judged 0 only, one without result, a document not there.
    """
    qrels = {"q0": {"d0": 1}, "q1": {"d1": 0}, "q2": {"d2": 2, "gone": 1, "d0": 1}, "q3": {"d3": 1}}
    folder = tmp_path / "zoo"
    (folder / "qrels").mkdir(parents=True)
    words = ["apple", "banana", "cherry", "damson"]
    corpus = [
        {"_id": f"d{n}", "text": f"{word} {word} {words[n - 1]}"} for n, word in enumerate(words)
    ]
    queries = [{"_id": f"q{n}", "text": word} for n, word in enumerate([*words[:3], "elsewhere"])]
    for name, rows in (("corpus", corpus), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    judged = [
        (query, document, grade)
        for query, among in qrels.items()
        for document, grade in among.items()
    ]
    (folder / "qrels/test.tsv").write_text(
        "".join(f"{q}\t{d}\t{grade}\n" for q, d, grade in judged)
    )
    code, out, told = embedlab("eval", "--model", "bm25", "--task", folder, "--json")
    assert code == 0
    assert "1 judged document is not in the corpus" in told
    (run,) = json.loads(out)["runs"]
    store = Store(tmp_path / "results.duckdb")
    assert store.run(run["run_id"]).resolved["missing"] == {"judged documents": 1}
    ranking = store.ranking(run["run_id"])
    found = {
        query: {
            ranking.document_ids[row]: float(score)
            for row, score in zip(rows, scores, strict=True)
            if row >= 0
        }
        for query, rows, scores in zip(ranking.query_ids, ranking.rows, ranking.scores, strict=True)
    }
    lines = [
        f"{q} Q0 {d} 1 {score} x\n" for q, among in found.items() for d, score in among.items()
    ]
    (tmp_path / "run").write_text("".join(lines))
    arguments = (
        "import", tmp_path / "run", "--qrels", folder / "qrels/test.tsv", "--task", "T",
        "--model", "m",
    )  # fmt: skip
    assert embedlab(*arguments)[0] == 0
    (imported,) = store.runs(model="m").to_pylist()
    by_query = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10"}).evaluate(found)
    expected = sum(scores["ndcg_cut_10"] for scores in by_query.values()) / 4
    assert run["main_score"] == pytest.approx(expected, abs=1e-9)
    assert imported["main_score"] == pytest.approx(expected, abs=1e-9)
