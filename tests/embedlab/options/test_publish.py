"""`embedlab publish`: every number is the leaderboard's, and nothing of others is lost."""

import csv
import json
import re
import shlex
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from embedlab.tasks import benchmark_parts
from leaderboard.records import Model, Run, Task
from leaderboard.storage.rows import tables
from leaderboard.storage.store import Store
from tests.app import sample

SCRIPT = "<script>alert(1)</script>"
ENDING = "</script><img src=x onerror=alert(2)>"


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """The sample store of the dashboard's tests, which has hostile names too."""
    return sample.fill(tmp_path_factory.mktemp("store") / "results.duckdb").path


@pytest.fixture(autouse=True)
def asked_once(filled, monkeypatch):
    """What mteb says of benchmarks, for all tests here."""
    monkeypatch.setattr(benchmark_parts, "file", lambda: filled.with_name("benchmarks.json"))


def entries(folder: Path) -> dict[str, dict]:
    """What the page says of each leaderboard, by title."""
    page = (folder / "index.html").read_text()
    (data,) = re.findall(r'<script type="application/json" id="site">(.*?)</script>', page)
    return {entry["title"]: entry for entry in json.loads(data)["boards"]}


def board(folder: Path, title: str) -> dict:
    """A leaderboard as the page's script reads it."""
    script = (folder / entries(folder)[title]["data"]).read_text()
    return json.loads(script.removeprefix("embedlabBoard(").removesuffix(")\n"))


def cells(board: dict) -> dict[str, dict]:
    """By model and column, figures as they are shown."""
    named = {each.get("id", each["name"]): each for each in board["columns"]}
    models = named["model"]["cells"]

    def value(column: dict, row: int):
        cell = column["cells"][row]
        figure = isinstance(cell, int) and column.get("digits")
        return cell / 10 ** column["digits"] if figure else cell

    return {
        model: {name: value(column, row) for name, column in named.items()}
        for row, model in enumerate(models)
    }


DIGITS = {"texts_per_second": 0, "encode_seconds": 1}


def compared(board: dict, ranking: dict) -> int:
    """Compare every number of a site's leaderboard with `embedlab leaderboard --json`; gives how
    many there were.
    """
    shown, count = cells(board), 0
    assert list(shown) == [row["name"] for row in ranking["rows"]]
    plain = {"mean": "mean", "mean by type": "types", "#": "place", "Borda": "borda",
             "zero-shot %": "zero_shot", "own": "own", "published": "published"}  # fmt: skip
    for row in ranking["rows"]:
        there = shown[row["name"]]
        counts = {k: v for k, v in row["facts"].items() if type(v) is int}
        expected = {name: row[key] for name, key in plain.items()} | row["scores"] | row["costs"]
        expected |= {name.replace("_", " "): value for name, value in counts.items()}
        bounds = re.findall(r"\d\.\d+", there.get("interval") or "")
        assert [float(each) for each in bounds] == [
            round(row[end], 4) for end in ("low", "high") if row[end] is not None
        ]
        for name, value in expected.items():
            if value is not None:
                digits = DIGITS.get(name, 3 if name in row["costs"] else 4) * (abs(value) < 10_000)
                assert abs(there[name] - round(value, digits)) < 1e-9, (name, there[name], value)
            count += value is not None
        count += len(bounds)
        missing = set(ranking["tasks"]) - set(row["scores"])
        assert all(there[task] is None for task in missing)
    return count


@pytest.mark.effect("publish --out", "publish --db", "publish --benchmark", "publish --title")
def test_every_number_is_that_of_the_leaderboard(ok, filled, tmp_path):
    titles, out = ("MTEB(eng, v1)", "BEIR"), tmp_path / "site"
    words = [word for title in titles for word in ("--benchmark", title)]
    said = ok("publish", "--out", out, "--db", filled, "--title", f"Ours {SCRIPT}", *words)
    assert "Wrote 2 leaderboards" in said and str(out / "index.html") in said
    assert list(entries(out)) == list(titles)
    for title in titles:
        published = board(out, title)
        command = shlex.split(published["command"])[1:]
        ranking = ok(*command, "--db", filled, "--json")
        assert compared(published, ranking) > 40
        assert published["coverage"].endswith(" tasks") and published["coverage"] in "".join(
            column["name"] for column in published["columns"]
        )
    page = (out / "index.html").read_text()
    assert "<h1>Ours &lt;script&gt;" in page and SCRIPT not in page
    rows = list(csv.reader((out / entries(out)["BEIR"]["csv"]).open()))
    assert len(rows) == 1 + board(out, "BEIR")["rows"]
    assert f"'{sample.DROP}" not in str(rows) and sample.SCRIPT in str(rows)


def test_the_first_table_is_readable_without_scripts_and_the_same_as_in_a_terminal(
    ok, filled, tmp_path
):
    ok("publish", "--out", tmp_path / "site", "--db", filled, "-b", "BEIR")
    page = (tmp_path / "site" / "index.html").read_text()
    rows = [re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row) for row in re.findall("<tr>.*?</tr>", page)]
    command = shlex.split(board(tmp_path / "site", "BEIR")["command"])[1:]
    terminal = ok(*command, "--db", filled, "--format", "markdown").splitlines()
    first = [cell.strip().replace("**", "") for cell in terminal[2].split("|")[1:-1]]
    assert rows[1] == first
    assert "from the best mean" in page or "No intervals" in page


def test_tasks_have_their_facts_where_the_leaderboard_is_of_the_whole_task(ok, tmp_path):
    runs = [_run("a", "SciFact", 0.5), _run("a", "STS12", 0.6)]
    runs.append(replace(_run("a", "STS17", 0.7), task=Task("STS17", "STS", subset="en-en")))
    Store(tmp_path / "r.duckdb").add_tables(tables(runs))
    words = ("publish", "--db", tmp_path / "r.duckdb", "--out", tmp_path / "site", "-b")
    ok(*words, "MTEB(eng, v1)")
    tasks = {
        each["name"]: each["cells"] for each in board(tmp_path / "site", "MTEB(eng, v1)")["tasks"]
    }
    known = ok("tasks", "show", "SciFact", "--json")["task"]
    row = tasks["task"].index("SciFact")
    assert tasks["documents"][row] == known["sizes"]["test"]["documents"] == 5183
    assert (tasks["metric"][row], tasks["licence"][row]) == ("nDCG@10", known["licence"])
    row = tasks["task"].index("STS17")
    assert (tasks["languages"][row], tasks["samples"][row]) == ("1 of 11 subsets", None)


def test_by_default_what_has_results_as_a_whole(ok, home, tmp_path):
    """A benchmark whose tasks are all there; else all tasks, by Borda count."""
    home.mkdir()
    store = Store(home / "results.duckdb")
    store.add_tables(tables([_run("a", "SciFact", 0.5), _run("b", "STS12", 0.6)]))
    ok("publish", "--out", tmp_path / "site")
    assert list(entries(tmp_path / "site")) == ["All tasks"]
    published = board(tmp_path / "site", "All tasks")
    assert published["command"] == "embedlab leaderboard --incomplete --sort borda"
    assert compared(published, ok(*shlex.split(published["command"])[1:], "--json")) > 4
    shown = [published["columns"][at]["name"] for at in published["sets"]["Overview"]]
    assert "Borda" in shown and not any(name.startswith("mean") for name in shown)

    legal = ("AILACasedocs", "AILAStatutes", "LegalSummarization", "LegalBenchCorporateLobbying",
             "LegalQuAD", "LeCaRDv2", "GerDaLIRSmall", "LegalBenchConsumerContractsQA")  # fmt: skip
    store.add_tables(tables([_run("a", task, 0.4) for task in legal]))
    ok("publish", "--out", tmp_path / "site")
    assert list(entries(tmp_path / "site")) == ["MTEB(Law, v1)", "All tasks"]


def _run(model: str, task: str, score: float) -> Run:
    kind = "STS" if task.startswith("STS") else "Retrieval"
    return Run(Model(model), Task(task, kind), score, {"ndcg_at_10": score})


def test_hostile_names_of_a_result_file_stay_text(ok, home, tmp_path):
    place = tmp_path / "results/org__evil/r1"
    place.mkdir(parents=True)
    scores = {"test": [{"hf_subset": "default", "languages": ["eng-Latn"], "main_score": 0.5}]}
    (place / "SciFact.json").write_text(
        json.dumps({"task_name": "SciFact", "scores": scores, "mteb_version": "2"})
    )
    (place / "model_meta.json").write_text(json.dumps({"name": f"{SCRIPT}/{ENDING}\u202e\x1b[31m"}))
    ok("import", tmp_path / "results")
    ok("publish", "--out", tmp_path / "site", "-b", "BEIR")
    page = (tmp_path / "site/index.html").read_text()
    assert page.count("<script") == 3 and "<img" not in page and "\x1b" not in page
    (model,) = cells(board(tmp_path / "site", "BEIR"))
    assert model.startswith(f"{SCRIPT}/{ENDING}") and "\u202e" not in model


def test_folders_of_others_stay_and_old_data_go(ok, refused, filled, tmp_path):
    out = tmp_path / "site"
    words = ("publish", "--db", filled, "-b", "MTEB(eng, v1)", "--out")
    ok(*words, out)
    (out / "CNAME").write_text("example.org")
    first = set((out / "data").iterdir())
    ok(*words[:-2], "mteb(eng, V1)", "-b", *words[-2:], out)  # the same, in other letters
    assert set((out / "data").iterdir()) == first
    with duckdb.connect(str(filled)) as store:
        store.execute("UPDATE runs SET main_score = 0.9 WHERE model = 'org/imported-a'")
    ok(*words, out)
    changed = set((out / "data").iterdir())
    assert (out / "CNAME").is_file() and len(changed) == len(first) == len(changed & first) + 2

    for name, content in (("index.html", "<p>mine"), ("thesis.tex", "x")):
        foreign = tmp_path / name.partition(".")[0]
        foreign.mkdir()
        (foreign / name).write_text(content)
        assert name in refused(*words, foreign)
        assert [path.name for path in foreign.iterdir()] == [name]
        assert (foreign / name).read_text() == content
    assert "is a file" in refused(*words, tmp_path / "thesis" / "thesis.tex")


def test_a_store_without_results_and_names_that_are_none(refused, filled, home, tmp_path):
    assert "There are no results" in refused("publish", "--out", tmp_path / "site")
    assert not (tmp_path / "site").exists()
    unknown = ("publish", "--db", filled, "--out", tmp_path / "site", "-b")
    assert "Unknown task 'MTEB(eng, v3)'" in refused(*unknown, "MTEB(eng, v3)")
    assert "hold none of the tasks" in refused(*unknown, "MTEB(Law, v1)")
    assert not (tmp_path / "site").exists()


def test_a_thousand_models_on_a_hundred_tasks_stay_below_five_megabytes(ok, tmp_path):
    from tests.leaderboard.thousand_models import fill

    ok("publish", "--db", fill(tmp_path / "results.duckdb"), "--out", tmp_path / "site")
    files = [path for path in (tmp_path / "site").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 5_000_000
    published = board(tmp_path / "site", "All tasks")
    ranking = ok("leaderboard", "--db", tmp_path / "results.duckdb", "--json")
    assert compared(published, ranking) == 1_000 * (100 + 2 + 4)  # scores, interval, ranks, means
