"""The whole public archive of MTEB results: import, the same again, a leaderboard.

ARCHIVE=path/to/results python -m pytest -m bench tests/bench/test_archive.py, where `results` is a
clone of github.com/embeddings-benchmark/results.
"""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ARCHIVE = os.environ.get("ARCHIVE", "")
pytestmark = [
    pytest.mark.bench,
    pytest.mark.timeout(1_800),
    pytest.mark.skipif(not ARCHIVE, reason="needs the public archive: ARCHIVE=path/to/results"),
]
RANK = ("leaderboard", "--benchmark", "MTEB(eng, v2)", "--json")


def seconds(home: Path, *command: str) -> float:
    """Of processor time: what else the machine does is no matter."""
    started = spent()
    subprocess.run(
        [sys.executable, "-m", "embedlab", *command],
        env={**os.environ, "EMBEDLAB_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return spent() - started


def spent() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def test_the_archive(tmp_path, capsys):
    first = seconds(tmp_path, "import", ARCHIVE)
    again = seconds(tmp_path, "import", ARCHIVE)
    asked = seconds(tmp_path, *RANK)
    ranked = min(seconds(tmp_path, *RANK) for _ in range(3))
    size = (tmp_path / "results.duckdb").stat().st_size / 1e9
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    with capsys.disabled():
        print(
            f"\nof a processor: import {first:.0f} s, again {again:.1f} s; store {size:.2f} GB;"
            f" leaderboard {ranked:.1f} s, the first time {asked:.1f} s;"
            f" most memory of all {peak:.2f} GB"
        )
    assert again < 10 and ranked < 2.5
