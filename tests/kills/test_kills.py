"""kill -9 and Ctrl-C at many points of every command that writes:
a few points here, 20 of each by name:

KILLS=20 python -m pytest -m "bench or not bench" tests/kills
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

POINTS = int(os.environ.get("KILLS", "0"))
ALL = (
    "import trec", "import mteb", "merge", "runs rm", "export parquet", "export csv", "export mteb",
    "export trec", "index", "index bm25", "eval", "rag", "cache prune", "cache prune --model",
    "train", "train untrained", "dashboard", "publish",
)  # fmt: skip


def jobs(*quick: str, without: str = "") -> list:
    """All jobs, those but `quick` by name only:
    each takes a process of some seconds, and time for each point.
    """
    bench = () if POINTS else pytest.mark.bench
    return [
        name if name in quick else pytest.param(name, marks=bench)
        for name in ALL
        if name != without
    ]


def stopped(name: str, number: str, environment: dict, place: Path) -> list[dict]:
    """What killing.py tells of each point."""
    points = POINTS or 3
    program = [
        sys.executable,
        Path(__file__).with_name("killing.py"),
        name,
        place,
        str(points),
        number,
    ]
    ended = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=550)
    assert ended.returncode == 0, ended.stderr[-3000:]
    found = json.loads(ended.stdout.splitlines()[-1])
    print(
        f"{name}: {number} at {len(found)} points,"
        f" {sum(bool(point['stopped']) for point in found)} before the end"
    )
    return found


@pytest.mark.parametrize("name", jobs("import trec"))
def test_killed_anywhere_nothing_is_lost(name, environment, tmp_path):
    found = stopped(name, "SIGKILL", environment, tmp_path)
    assert not [point for point in found if point["wrong"]]
    assert any(point["stopped"] for point in found)


@pytest.mark.parametrize("name", jobs("merge", without="dashboard"))
def test_ctrl_c_anywhere_is_one_sentence_and_no_loss(name, environment, tmp_path):
    found = stopped(name, "SIGINT", environment, tmp_path)
    assert not [point for point in found if point["wrong"]]
    assert any(point["stopped"] for point in found)
