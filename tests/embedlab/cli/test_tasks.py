import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from embedlab.cli.tasks import command
from embedlab.errors import UserError
from embedlab.tasks import described


def run(*arguments) -> str:
    import typer

    app = typer.Typer()
    app.command()(command)
    result = CliRunner().invoke(app, arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout


def listed(*arguments) -> dict[str, dict]:
    return {row["name"]: row for row in json.loads(run(*arguments, "--json"))["tasks"]}


def test_without_a_pattern_our_own_come_alone_and_without_mteb():
    code = (
        "import sys; from embedlab.tasks.listing import rows; rows(); print('mteb' in sys.modules)"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert out.strip() == "False"
    rows = listed()
    assert {"stdlib", "stdlib-mini", "StdlibCodeSearch"} <= rows.keys()
    assert all(row["offline"] and row["data"] == "built in" for row in rows.values())


def test_a_pattern_searches_mteb_ours_first():
    names = list(listed("code"))
    assert names[0].startswith("Stdlib")
    assert "CodeSearchNetRetrieval" in names


def test_type_and_benchmark():
    rows = listed("--type", "sts", "--benchmark", "MTEB(eng, v2)")
    assert len(rows) == 9
    assert {row["type"] for row in rows.values()} == {"STS"}
    assert list(listed("--benchmark", "stdlib-mini", "--type", "Clustering")) == [
        "StdlibMiniPackageClustering"
    ]


def test_a_mirror_makes_tasks_available(tmp_path):
    (tmp_path / "STS12.tsv").write_text("score\tsentence1\tsentence2\n1\ta\tb\n")
    rows = listed("STS12", "--data-dir", str(tmp_path))
    assert (rows["STS12"]["data"], rows["STS12"]["offline"]) == ("mirror", True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--type", "STSS"], "task type"), (["--benchmark", "x"], "benchmark")],
)
def test_unknown_conditions(arguments, message):
    with pytest.raises(UserError, match=f"Unknown {message}"):
        run(*arguments)


def test_help_gives_the_layout_of_a_mirror():
    assert "<Task>/train.csv, test.csv" in run("--help")
    assert "StdlibCodeSearch" in run()


def shown(*arguments) -> dict:
    return json.loads(run("show", *arguments, "--json"))


@pytest.mark.parametrize(
    "name",
    ["SciFact", "STS22.v2", "Banking77Classification", "CQADupstackRetrieval"],
)
def test_a_task_is_shown_as_mteb_describes_it(name):
    import mteb

    task, meta = shown(name)["task"], mteb.get_task(name).metadata
    assert (task["type"], task["metric"]) == (meta.type, meta.main_score)
    assert task["licence"] == meta.license and task["citation"] == meta.bibtex_citation.strip()
    assert task["languages"] == sorted(meta.bcp47_codes) and task["splits"] == meta.eval_splits
    assert task["link"] == str(meta.reference)
    for split, counted in (meta.descriptive_stats or {}).items():
        sizes = task["sizes"][split]
        for ours, theirs in (("documents", "num_documents"), ("queries", "num_queries")):
            assert sizes.get(ours) == counted.get(theirs)
        assert "documents" in sizes or sizes["samples"] == counted["num_samples"]
    assert (task["members"] or []) == [t.metadata.name for t in getattr(meta, "tasks", ())]
    assert bool(task["sizes"]) == bool(meta.descriptive_stats)


def test_the_dashboard_finds_every_task_as_the_command_shows_it(tmp_path):
    described.write(tmp_path / "tasks.json")
    every = json.loads((tmp_path / "tasks.json").read_text())
    assert len(every) > 1000
    for name in ("SciFact", "CQADupstackRetrieval"):
        assert every[name] == shown(name)["task"]
    built_in, task = every["StdlibMiniCodeSearch"], shown("StdlibMiniCodeSearch")["task"]
    assert {key for key in task if task[key] != built_in[key]} <= {"sizes", "revision"}


def test_a_sample_comes_from_the_data_and_of_an_own_folder_nothing_is_made_up(tmp_path):
    folder = tmp_path / "own"
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text(
        '{"_id": "d1", "title": "", "text": "one"}\n{"_id": "d2", "title": "T", "text": "two"}\n'
    )
    (folder / "queries.jsonl").write_text(
        '{"_id": "q0", "text": "not judged"}\n{"_id": "q1", "text": "second?"}\n'
    )
    (folder / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t0\nq1\td2\t1\n")
    answer = shown(str(folder))
    assert answer["sample"] == [{"query": "second?", "relevant": "T two"}]
    task = answer["task"]
    assert task["sizes"] == {"test": {"documents": 2, "queries": 1, "judgements": 2}}
    assert {task[key] for key in ("licence", "citation", "data", "public")} == {None}
    assert task["languages"] is None
    (tmp_path / "STS12.tsv").write_text("score\tsentence1\tsentence2\n1\ta\tb\n")
    (row,) = shown("STS12", "--data-dir", str(tmp_path))["sample"]
    assert (row["sentence1"], row["sentence2"]) == ("a", "b")
    assert "unknown" in run("show", str(folder)) and "second?" in run("show", str(folder))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show"], "show takes one task"),
        (["show", "SciFact", "--type", "STS"], "show takes one task"),
        (["show", "stdlib"], "is a benchmark"),
        (["show", "MTEB(eng, v2)"], "is a benchmark"),
        (["show", "SciFacts"], "Unknown task"),
        (["Sci", "Fact"], "one pattern, not 2"),
    ],
)
def test_what_cannot_be_shown(arguments, message):
    with pytest.raises(UserError, match=message):
        run(*arguments)
