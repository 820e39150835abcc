"""A run that is killed at any moment goes on where it was, and ends with the very same scores."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests import ready

SCRIPT = Path(__file__).with_name("killed_runs.py")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A BEIR folder of 1,500 random documents."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("beir") / "random"
    (folder / "qrels").mkdir(parents=True)

    def texts(count):
        return [
            " ".join(f"w{n}" for n in rng.integers(0, 200, rng.integers(1, 60)))
            for _ in range(count)
        ]

    def lines(prefix, count):
        return "\n".join(
            json.dumps({"_id": f"{prefix}{n}", "text": text}) for n, text in enumerate(texts(count))
        )

    (folder / "corpus.jsonl").write_text(lines("d", 1500))
    (folder / "queries.jsonl").write_text(lines("q", 40))
    judged = "\n".join(f"q{n}\td{rng.integers(1500)}\t1" for n in range(40))
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}\n")
    return folder


def run(model, folder, home, kills: int) -> tuple[int, list[str]]:
    answer = ready.run(SCRIPT, model, folder, home, kills, cwd=Path(__file__).parents[3])
    assert answer.returncode == 0, answer.stderr[-2000:]
    killed, *digests = answer.stdout.split()
    return int(killed), digests


def test_killed_runs_end_with_the_same_bits(tiny_folder, folder, tmp_path):
    _, undisturbed = run(tiny_folder, folder, tmp_path / "undisturbed", 0)
    killed, resumed = run(tiny_folder, folder, tmp_path / "killed", 20)
    assert killed == 20
    assert resumed == undisturbed
    assert len(undisturbed) == 1
