"""A study of a method that writes: its score against steps, and its perplexity."""

import json
import shlex
from pathlib import Path

import pytest

from embedlab.training import snapshots
from leaderboard.storage.store import Store
from tests.embedlab.studies.test_study import sections

STAGES = """
[[stages]]
objective = "gem"
steps = 2
batch_size = 4
precision = "float32"
settings = { ntp_steps = 1 }
lora = { rank = 2, alpha = 8, dropout = 0.0 }
"""
LORA = "lora = { rank = 2, alpha = 8, dropout = 0.0 }\n"


@pytest.fixture
def typed(cli, home):
    def call(*words):
        code, out, err = cli(*map(str, words), "--json")
        assert code == 0, err
        return json.loads(out)

    return call


@pytest.fixture
def of_gem(study, tmp_path):
    """The study with one GEM as its control, one seed, and a curve on its first task."""
    recipe = tmp_path / "tiny.toml"
    text = recipe.read_text().replace('method = "decoder"', 'method = "gem"') + LORA
    recipe.write_text(text.replace("[[stages]]", STAGES + "[[stages]]"))
    head, _, rest = study.read_text().partition("[[trainings]]")
    training, _, _ = rest.partition("[[trainings]]")
    lines = head.replace("seeds = [1, 2]", "seeds = [1]")
    task = lines.split("tasks = [")[1].split(",")[0]
    curve = f"\n[curve]\nevery = 1\ntasks = [{task}]\n[[views]]\nof = ['mean']\ndims = [8]\n"
    study.write_text(lines + curve + '[[trainings]]\nrole = "control"' + training)
    return study


def test_a_study_draws_its_steps_and_measures_what_writes(of_gem, typed, home):
    answer = typed("study", of_gem, "--device", "cpu")
    assert answer["missing"] == [] and answer["failures"] == []
    (folder,) = [path.parent for path in home.glob("trained/*/training.json")]
    assert list(snapshots.folders(folder)) == [1, 2, 3]
    curve = {each["steps"]: each for each in answer["curve"]}
    assert sorted(curve) == [0, 1, 2, 3, 4] and {each["group"] for each in curve.values()} == {
        "mean"
    }
    whole = {each["group"]: each["score"] for each in answer["scores"]
             if each["task"] == curve[4]["task"]}  # fmt: skip
    assert (curve[0]["score"], curve[4]["score"]) == (whole["mean-untrained"], whole["mean"])
    page = sections((Path(answer["report"]) / "report.md").read_text(encoding="utf-8"))
    rows, (command,) = page["Score against steps"]
    board = {row["label"]: row for row in typed(*shlex.split(command)[1:])["rows"]}
    for row, (step, each) in zip(rows, sorted(curve.items()), strict=True):
        (score,) = (value for key, value in row.items() if key not in ("member", "seed", "steps"))
        assert int(row["steps"]) == step and score == f"{each['score']:.4f}"
        shown = board[each["model"]]["scores"][each["task"]]
        assert f"{shown:.4f}" == score
    assert (Path(answer["report"]) / "figures" / "curve.svg").is_file()

    (measured,) = answer["perplexities"]
    rows, (command,) = page["Perplexity"]
    assert [(row["before"], row["after"]) for row in rows] == [
        (f"{measured['before']:.3f}", f"{measured['after']:.3f}")
    ]
    again = typed(*shlex.split(command)[1:])["perplexities"]
    assert [each["perplexity"] for each in again] == [measured["before"], measured["after"]]

    runs = Store(home / "results.duckdb").runs().num_rows
    assert typed("study", of_gem, "--device", "cpu")["curve"] == answer["curve"]
    assert Store(home / "results.duckdb").runs().num_rows == runs


def test_a_training_of_before_has_no_curve_and_the_report_says_so(of_gem, typed, home):
    text = of_gem.read_text()
    before, _, rest = text.partition("\n[curve]")
    of_gem.write_text(before + "\n[[trainings]]" + rest.partition("[[trainings]]")[2])
    typed("study", of_gem, "--device", "cpu")
    of_gem.write_text(text)
    (said,) = typed("study", of_gem, "--device", "cpu")["missing"]
    assert "was trained before its curve was asked for: to train it again, remove" in said
