"""The minis on held-out code search:
each against its untrained twin and the control with mean pooling.

All of it through the command line. One model a line: nDCG@10 of the mini and its twin, both
differences with confidence intervals, and p-values after Holm's correction over all of them.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from embedlab.models.cards import cards
from embedlab.resources import DATA

pytestmark = [pytest.mark.bench, pytest.mark.timeout(5400)]
MINIS = [name for name, card in cards().items() if card.group == "minis"]
CONTROL = "base-mean"
# Its twin matches words as they stand;
# training buys a third of its active terms for about the same quality.
NO_BETTER = {"mistral-splade"}
RECIPES = {
    name: name if name.startswith("base-") else f"{name.removesuffix('-mini')}-mini"
    for name in MINIS
}


def embedlab(home: Path, *words):
    command = Path(sys.executable).with_name("embedlab")
    answer = subprocess.run(
        [command, *words, "--json"],
        env={**os.environ, "EMBEDLAB_HOME": str(home)},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr[-2000:]
    return json.loads(answer.stdout)


@pytest.mark.parametrize("task", [os.environ.get("EMBEDLAB_MINIS_TASK", "StdlibCodeSearch")])
def test_minis_against_their_twins(task, tmp_path, capsys):
    twins = {}
    for name in set(MINIS) - {"base-words"}:  # its twin is random
        twins[name] = f"{name}-untrained"
        embedlab(tmp_path, "train", RECIPES[name], "--untrained", "--out", tmp_path / twins[name])
    models = [*MINIS, *(tmp_path / folder for folder in twins.values())]
    runs = embedlab(
        tmp_path, "eval", *(word for model in models for word in ("--model", model)), "--task", task
    )["runs"]
    score = {run["model"]: run["main_score"] for run in runs}
    pairs = [(name, twins[name]) for name in twins] + [
        (name, CONTROL) for name in MINIS if name != CONTROL
    ]
    found = [
        embedlab(tmp_path, "compare", *pair, "--task", task, "--correction", "none")["pairs"][0]
        for pair in pairs
    ]
    from leaderboard.statistics.significance import correct

    corrected = dict(zip(pairs, correct([pair["p"] for pair in found], "holm"), strict=True))
    by_pair = dict(zip(pairs, found, strict=True))

    def shown(pair) -> str:
        if pair not in by_pair:
            return " " * 42
        one = by_pair[pair]
        return (
            f"{one['difference']:+.4f} ({one['low']:+.4f} ... {one['high']:+.4f}) p"
            f" {corrected[pair]:.4f}"
        )

    with capsys.disabled():
        print(f"\n{task}, {found[0]['queries']} queries")
        print(f"{'model':16} nDCG@10  twin    {'against its twin':42}  against {CONTROL}")
        for name in sorted(MINIS, key=score.get, reverse=True):
            twin = f"{score[twins[name]]:.4f}" if name in twins else "      "
            print(
                f"{name:16} {score[name]:.4f}   {twin}  {shown((name, twins.get(name)))} "
                f" {shown((name, CONTROL))}"
            )
    for name in set(twins) - NO_BETTER:
        assert (
            by_pair[name, twins[name]]["difference"] > 0 and corrected[name, twins[name]] < 0.05
        ), name
    assert {path.name for path in (DATA / "checkpoints").iterdir()} >= set(MINIS)
