"""A whole study through the command line: killed, gone on, and every number of its report."""

import json
import os
import re
import shlex
import time
from pathlib import Path

import numpy as np
import pytest

import embedlab
from leaderboard.storage.store import Store
from tests import ready

SECONDS = 240  # until the process that is to be killed has saved a checkpoint


@pytest.fixture
def typed(cli, home):
    def call(line):
        words = shlex.split(line)[1:] if isinstance(line, str) else [*map(str, line)]
        code, out, err = cli(*words, "--json")
        assert code == 0, err
        return json.loads(out)

    return call


def killed_in_training(study, home):
    """Run the study in a process of its own, and kill it once a training has saved a checkpoint."""
    environment = {**os.environ, "EMBEDLAB_HOME": str(home), "OMP_NUM_THREADS": "1"}
    process = ready.Process("-m", "embedlab", "study", study, env=environment)
    until = time.monotonic() + SECONDS
    while not list(home.glob("trained/*/unfinished/*/checkpoint-*/whole")):
        assert process.poll() is None and time.monotonic() < until, process.said()[-2000:]
        time.sleep(0.005)
    process.kill()
    process.wait()


def sections(page):
    """By heading: the rows of the tables below it as dictionaries, and the commands."""
    found = {}
    for part in re.split(r"^#+ ", page, flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition("\n")
        lines = [line[2:-2].split(" | ") for line in body.splitlines() if line.startswith("| ")]
        rows = [dict(zip(lines[0], row, strict=True)) for row in lines[2:]] if lines else []
        blocks = re.findall(r"```sh\n(.*?)\n```", body, flags=re.DOTALL)
        found[heading] = rows, [line for block in blocks for line in block.splitlines()]
    return found


@pytest.mark.effect("study --json", "study --device")
def test_a_killed_study_goes_on_and_every_number_is_in_the_store(study, home, typed, cli):
    killed_in_training(study, home)
    done = {path: path.stat().st_mtime_ns for path in home.glob("trained/*/training.json")}
    answer = typed(["study", study, "--device", "cpu"])
    assert answer["missing"] == [] and answer["failures"] == []
    assert all(path.stat().st_mtime_ns == time for path, time in done.items())
    trained = sorted(path.parent.name for path in home.glob("trained/*/training.json"))
    assert len(trained) == 4 and not list(home.glob("trained/*/unfinished"))

    store = Store(home / "results.duckdb")
    runs = store.runs().to_pylist()
    # bm25; two trainings and two twins with two seeds; two views of the means: each once.
    assert len(runs) == 2 * (1 + 8 + 2 * 2)
    views = ("model", "task", "layer", "dim", "index")
    assert len({tuple(run[name] for name in views) for run in runs}) == len(runs)

    report = Path(answer["report"])
    page = sections((report / "report.md").read_text(encoding="utf-8"))
    check_every_score(page, typed, runs)
    check_means(page, runs)
    check_comparisons(page, typed)
    check_trainings(page, home, typed)
    html = (report / "report.html").read_text(encoding="utf-8")
    assert html.count("<svg") == 5 and not re.search(r"(src|href)=\"(?!#)", html)
    assert r"\begin{tabular}" in (report / "table.tex").read_text(encoding="utf-8")

    again = typed(["study", study, "--device", "cpu"])
    assert again["scores"] == answer["scores"] and store.runs().num_rows == len(runs)
    assert sorted(path.parent.name for path in home.glob("trained/*/training.json")) == trained

    found = embedlab.study(study, device="cpu", progress=False)
    assert found.report == report and found.missing == [] and found.failures.empty
    assert found.scores["score"].tolist() == [each["score"] for each in answer["scores"]]
    assert len(found.comparisons) == 8 and store.runs().num_rows == len(runs)


def check_every_score(page, typed, runs):
    rows, _ = page["Every score"]
    assert len(rows) == 18
    of_tasks = {}
    for command in page["Scores"][1]:
        answer = typed(command)
        of_tasks[answer["tasks"][0]] = {row["label"]: row for row in answer["rows"]}
    for row in rows:
        run = typed(row["command"])
        assert (run["settings"]["model.name"], run["settings"]["task.name"]) == (
            row["in the store"].partition("@")[0],
            row["task"],
        )
        assert f"{run['main_score']:.4f}" == row["score"]
        shown = of_tasks[row["task"]][row["in the store"]]
        assert row["95% interval"] == f"{shown['low']:.4f} to {shown['high']:.4f}"


def check_means(page, runs):
    rows, _ = page["Scores"]
    tasks = sorted({run["task"] for run in runs})
    for row in rows:
        for task in tasks:
            own = [
                run["main_score"]
                for run in runs
                if re.fullmatch(rf"{row['member']}(-s\d-\w+\?max_length=16)?", run["model"])
                and run["task"] == task
                and run["dim"] in (None, 32)
            ]
            assert len(own) == int(row["seeds"])
            said = f"{np.mean(own):.4f}"
            if len(own) > 1:
                said += f" ± {np.std(own, ddof=1):.4f}"
            assert row[task].partition(" (")[0] == said


def check_comparisons(page, typed):
    for name, level in (("Trained or not", 0.95), ("Mean or others", 0.9)):
        rows, (command,) = page[name]
        answer = typed(command)
        assert answer["level"] == level and len(rows) == 6
        tested = [*answer["pairs"], *answer["overall"]]
        for row in rows:
            (pair,) = [
                pair
                for pair in tested
                if pair["first"].startswith(f"{row['first']}-s")
                and re.match(rf"{row['second']}(-s|$)", pair["second"])
                and row["task"].startswith(pair.get("task", "mean over 2"))
            ]
            assert row["difference"] == f"{pair['difference']:+.4f}"
            assert row[f"{level:.0%} interval"] == f"{pair['low']:+.4f} to {pair['high']:+.4f}"
            for column, value in (("p", pair["p"]), ("corrected p", pair["corrected_p"])):
                assert row[column] == (f"{value:.4f}" if value >= 0.0001 else r"\<0.0001")
            sure = pair["corrected_p"] <= 1 - level
            better = "better" if pair["difference"] > 0 else "worse"
            assert row["verdict"] == (better if sure else "not told apart")


def check_trainings(page, home, typed):
    rows, commands = page["Trainings"]
    assert len(rows) == len(commands) == 4
    for row, command in zip(rows, commands, strict=True):
        record = json.loads((home / "trained" / row["checkpoint"] / "training.json").read_text())
        assert row["tokens"] == f"{record['tokens']:,}" and record["tokens"] > 0
        assert row["last loss"] == f"{record['final_loss'][-1]:.4f}"
        assert typed(command)["digest"] == record["digest"]  # the very same: it is found, not made
