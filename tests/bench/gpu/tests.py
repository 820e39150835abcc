"""`pytest -m gpu tests/gpu` in a process of its own."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from tests.bench.gpu.figures import Figures
from tests.bench.gpu.worker import Place, Skipped

ROOT = Path(__file__).parents[3]


def run(figures: Figures, place: Place) -> None:
    if find_spec("pytest") is None or find_spec("pytest_timeout") is None:
        raise Skipped("pytest and pytest-timeout are not installed")
    if place.device == "cpu":
        raise Skipped("there is no GPU")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-m",
        "gpu",
        "tests/gpu",
        "-rA",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    print(done.stdout[-6_000:], flush=True)
    figures.add("pytest -m gpu", done.stdout.strip().splitlines()[-1])
    if done.returncode:
        raise RuntimeError(done.stdout[-3_000:])
