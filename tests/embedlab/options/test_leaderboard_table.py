"""What the leaderboard's table shows: like with like, and what fits where it is read."""

import re
import sys

import numpy as np
import pytest
from scipy import stats

from embedlab.cli import _completion
from leaderboard.records import Model, PerQuery, Run, Task
from leaderboard.storage.rows import tables
from leaderboard.storage.store import Store

TASKS = {"SciFact": "Retrieval", "NFCorpus": "Retrieval", "STS12": "STS", "STS13": "STS"}
HUB = "sentence-transformers/all-MiniLM-L6-v2"
OWN = Model("all-minilm-l6-v2", "8b32", "dense", {"source": HUB, "name": "all-minilm-l6-v2"})
CPU = {"cpu": "AMD EPYC", "cores": 2, "threads": 1}
GPU = {"cpu": "AMD EPYC", "cores": 16, "gpus": ["NVIDIA H100"]}


def run(model, task, score, *, spread=0.0, **fields):
    scored = {}
    if spread:
        noise = np.random.default_rng(len(str(model))).normal(0, spread, 60)
        values = score + noise - noise.mean()
        scored["per_query"] = PerQuery([f"q{n}" for n in range(60)], {"ndcg_at_10": values})
    model = model if isinstance(model, Model) else Model(model)
    return Run(
        model, Task(task, TASKS[task]), score, {"ndcg_at_10": score}, **{**scored, **fields}
    )  # fmt: skip


@pytest.fixture
def db(home):
    """Own and published results of MiniLM, a model with two views, one on another machine."""
    home.mkdir(exist_ok=True)
    cost = {"costs": {"texts_per_second": 100.0}, "environment": CPU}
    faster = {"costs": {"texts_per_second": 9000.0}, "environment": GPU}
    runs = [run(OWN, "SciFact", 0.645, index="torch", **cost)]
    runs += [run(HUB, task, 0.64 - n / 10, source="mteb") for n, task in enumerate(TASKS)]
    runs += [run("wide", task, 0.7, dim=64, index="torch", **cost) for task in TASKS]
    runs += [run("wide", task, 0.8, dim=32, index="torch", **cost) for task in TASKS]
    runs += [
        run("gpu", task, 0.5, index="torch", resolved={"device": "cuda:0"}, **faster)
        for task in TASKS
    ]
    Store(home / "results.duckdb").add_tables(tables(runs))
    return home / "results.duckdb"


def rows(ok, *options):
    return {row["label"]: row for row in ok("leaderboard", *options, "--json")["rows"]}


@pytest.mark.effect("leaderboard --views")
def test_one_row_per_model_is_the_fullest_view_not_the_best(ok, db):
    assert list(rows(ok)) == ["wide@dim=64", "gpu", HUB]
    assert rows(ok)["wide@dim=64"]["views"] == 2
    every = rows(ok, "--views")
    assert set(every) == {"wide@dim=64", "wide@dim=32", "gpu", HUB, "all-minilm-l6-v2"}
    assert "One row per model: --views" in ok("leaderboard")
    assert "One row per model" not in ok("leaderboard", "--views")


def test_own_and_published_results_of_a_model_stand_under_one_name_with_the_difference(ok, db):
    row = rows(ok)[HUB]
    assert (row["name"], row["tasks"], row["both"]) == ("all-minilm-l6-v2", 4, 1)
    assert (row["own"], row["published"]) == (0.645, 0.64)
    assert row["difference"] == pytest.approx(0.005)
    assert rows(ok, "-t", "SciFact")["all-minilm-l6-v2"]["source"] == "", "own before published"
    table = ok("leaderboard").splitlines()
    assert all(name in table[1] + table[2] for name in ("own - published", "on tasks"))
    line = next(line for line in table if "all-minilm" in line)
    assert HUB not in line and "+0.0050" in line
    # With settings of its own it is another model.
    other = Model("all-minilm-l6-v2?max_length=8", "8b32", "dense", OWN.details)
    Store(db).add(run(other, "NFCorpus", 0.1, index="torch"))
    assert rows(ok)[HUB]["both"] == 1


def test_a_part_of_a_benchmark_says_how_much_of_it(ok, db):
    answer = ok("leaderboard", "--benchmark", "MTEB(eng, v1)", "--incomplete", "--json")
    assert (answer["benchmark"], answer["asked"]) == ("MTEB(eng, v1)", 56)
    text = ok("leaderboard", "--benchmark", "MTEB(eng, v1)")
    assert "MTEB(eng, v1), 4 of 56 tasks" in text and "mean, 4 of 56 tasks" in text.replace(
        "\n", ""
    )
    assert "4 of 56" in next(line for line in text.splitlines() if "│ gpu" in line)
    assert "1 of 1" not in ok("leaderboard", "-t", "SciFact")


@pytest.mark.effect("leaderboard --hardware")
def test_times_compare_on_one_machine_alone(ok, refused, db):
    def speeds(*options):
        return {
            name: row["costs"].get("texts_per_second") for name, row in rows(ok, *options).items()
        }

    assert speeds() == {"wide@dim=64": 100.0, "gpu": None, HUB: None}
    assert "are of AMD EPYC, 2 cores" in ok("leaderboard") and "NVIDIA H100 (1)" in ok(
        "leaderboard"
    )
    assert speeds("--hardware", "h100") == {"wide@dim=64": None, "gpu": 9000.0, HUB: None}
    message = refused("leaderboard", "--hardware", "TPU")
    assert "Nothing here was measured on 'TPU'" in message and "NVIDIA H100" in message


def test_threads_and_dtypes_that_differ_are_said(ok, db):
    for dtype, threads in (("float32", 1), ("bfloat16", 4)):
        for task in TASKS:
            Store(db).add(
                run(
                    dtype, task, 0.3, settings={"dtype": dtype}, index="torch",
                    costs={"texts_per_second": 1.0}, environment=CPU | {"threads": threads},
                )
            )  # fmt: skip
    text = ok("leaderboard")
    assert "Computed in different dtypes: bfloat16 (1), float32 (1)" in text
    assert "measured with 1 and 4 threads" in text


def test_compared_runs_say_in_what_they_differ(ok, db):
    prompts = {"query": "query: ", "document": ""}
    for name, settings, resolved in (
        ("a", {"dtype": "float32"}, {"prompts": prompts, "max_length": 512}),
        ("b", {"dtype": "bfloat16"}, {"prompts": {"query": "", "document": ""}, "max_length": 512}),
    ):
        model = Model(name, f"{name * 40}")
        Store(db).add(
            run(model, "SciFact", 0.5, settings=settings, resolved=resolved, index="torch")
        )
    found = {s["name"]: s["values"] for s in ok("compare", "a", "b", "--json")["settings"]}
    assert found == {
        "dtype": ["float32", "bfloat16"],
        "prompts": ['query "query: "', "none"],
    }  # and not the revision, which two models have each their own
    text = ok("compare", "a", "b")
    assert 'query "query: "' in text and "In this the compared runs differ" in text
    Store(db).add(run(Model("a", "c" * 40), "SciFact", 0.5, settings={"dtype": "float32"}))
    views = [f"a@revision={letter * 40}" for letter in "ac"]
    found = {s["name"]: s["values"] for s in ok("compare", *views, "--json")["settings"]}
    assert found["revision"] == ["a" * 12, "c" * 12]


@pytest.mark.effect("leaderboard --columns")
def test_columns(ok, refused, db):
    lines = ok("leaderboard", "--columns", "model, STS ,scifact,views").splitlines()
    assert re.findall(r"\w+", lines[1]) == ["model", "STS", "SciFact", "views"]
    assert re.findall(r"[\w.-]+", lines[3]) == ["wide", "0.7000", "0.7000", "2"]
    message = refused("leaderboard", "--columns", "modle")
    assert "Unknown column 'modle'" in message and "model" in message
    assert "--json gives every column" in refused("leaderboard", "--columns", "model", "--json")
    assert _completion.columns("model,publ") == ["model,published"]
    assert _completion.columns("SciF") == ["SciFact"] and _completion.costs("texts") != []
    assert set(_completion.COLUMNS) <= set(re.findall(r"[^,:.]+", message.replace(", ", ","))) | {
        "#"
    }


@pytest.mark.effect("leaderboard --top")
def test_top(ok, db):
    assert [row["name"] for row in ok("leaderboard", "--top", "1", "--json")["rows"]] == ["wide"]
    text = ok("leaderboard", "--top", "2")
    assert "The first 2 of 3." in text and "all-minilm" not in text


def test_the_best_is_bold_and_what_cannot_be_told_from_it_is_marked(ok, home):
    home.mkdir(exist_ok=True)
    store = Store(home / "results.duckdb")
    for model, score in (("best", 0.5), ("close", 0.4999), ("worse", 0.3)):
        store.add(run(model, "SciFact", score, spread=0.1, index="torch"))

    def lines(form, separator):
        """The lines of the table by their second cell."""
        text = ok("leaderboard", "--format", form)
        cells = {line: line.strip("| ").split(separator) for line in text.splitlines()}
        return {each[1].strip(): line for line, each in cells.items() if len(each) > 3}

    markdown, latex = lines("markdown", "|"), lines("latex", "&")
    assert "**0.5000**" in markdown["best"] and r"\textbf{0.5000}" in latex["best"]
    assert "0.4999†" in markdown["close"] and r"0.4999$^\dagger$" in latex["close"]
    assert "†" not in markdown["worse"] and "dagger" not in latex["worse"]
    assert "0.4999†" in ok("leaderboard") and "† cannot be told apart" in ok("leaderboard")
    # Among the first row alone, nothing is called the best that is not.
    assert "**" not in ok("leaderboard", "--format", "markdown", "--columns", "model,group")


@pytest.mark.parametrize("width", [60, 100, 400])
def test_a_narrow_terminal_loses_columns_but_no_name_is_broken(cli, db, monkeypatch, width):
    long = "organisation-with-a-name/model-of-many-words-v1.5"
    for task in TASKS:
        Store(db).add(run(long, task, 0.9, index="torch"))
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    piped = cli("leaderboard")[1]
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda _: True)
    code, out, _ = cli("leaderboard")
    assert "\x1b[1m0.9000" in out, "the best in bold"
    out = re.sub("\x1b\\[[0-9;]*m", "", out)
    table = [line for line in out.splitlines() if line and line[0] in "┏┃┡│└"]
    assert code == 0 and max(map(len, table)) <= max(width, 78)
    assert long in out and "0.9000" in out
    assert ("Too wide for this terminal: " in out) == (width < 400)
    assert long in piped and "Borda" in piped and "Too wide" not in piped


@pytest.mark.effect("leaderboard --matrix")
def test_of_forty_models_tiers_and_pairs_say_who_can_be_told_apart(ok, refused, home):
    """32 models alike and 8 far behind: every form of the table says so, of each of them."""
    home.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    tasks = [Task(f"T{n}", "STS", main_metric="cosine_spearman") for n in range(9)]
    scores = rng.normal(0, 0.01, (40, 9)) + 0.5 + rng.normal(0, 0.1, 9)
    scores[32:] -= 0.2
    runs = [
        Run(Model(f"m{at:02}"), task, float(score), {}, source="mteb")
        for at, of_model in enumerate(scores)
        for task, score in zip(tasks, of_model, strict=True)
    ]
    Store(home / "results.duckdb").add_tables(tables(runs))
    found = ok("leaderboard", "--matrix", "--json")["rows"]
    assert [row["tier"] for row in found] == [1] * 32 + [2] * 8
    assert [row["like_best"] for row in found] == [True] * 32 + [False] * 8
    assert not any(row["group"] for row in found)
    assert not any(row["p_values"] for row in ok("leaderboard", "--json")["rows"])
    first, last = found[0], found[-1]
    both = [scores[int(row["name"][1:])] for row in (first, last)]
    p = min(1.0, stats.ttest_rel(*both).pvalue * 40 * 39 / 2)
    assert first["p_values"][last["label"]] == pytest.approx(p, rel=1e-6)
    assert first["best_place"] == 1 and 8 < first["worst_place"] <= 32
    places = f"{first['best_place']}-{first['worst_place']}"
    for form in ("text", "markdown", "latex"):
        table = ok("leaderboard", "--format", form)
        assert table.count("†") + table.count("dagger") == 31 + 1  # and where it is explained
        assert places in table and "tier begins with the first model" in table
        signs = ok("leaderboard", "--format", form, "--matrix", "--top", "34")
        assert "=" * 32 + "++" in signs and "-" * 32 + "==" in signs
    assert "--matrix and --pareto exclude" in refused("leaderboard", "--matrix", "--pareto", "x")
    few = ["-t", "T0"]
    assert "No two models could be tested" in refused("leaderboard", "--matrix", *few)
