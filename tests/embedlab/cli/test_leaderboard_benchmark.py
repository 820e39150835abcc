"""`embedlab leaderboard --benchmark`: ranks over the parts that mteb gives, without asking it
anew.
"""

import json
import os
import subprocess
import sys

from embedlab.tasks import benchmark_parts
from leaderboard.records import Model, Run, Task
from leaderboard.storage.rows import tables
from leaderboard.storage.store import Store
from leaderboard.tables.benchmarks import Benchmarks, fullest, read

_COMMAND = (
    "import sys\nfrom embedlab.cli import run\ntry:\n    run()\nexcept SystemExit:\n    pass\n"
    "print(sorted({'mteb', 'torch'} & set(sys.modules)), file=sys.stderr)"
)
KNOWN = Benchmarks(
    {"Small": {"A": [("test", "en")], "B": [("dev", "default")]}, "Other": {"C": []}},
    {"lab/one": "main"},
    {"small-one": "Small"},
)


def run(
    model: str, task: str, split: str, subset: str, score: float, revision: str = "main"
) -> Run:
    return Run(Model(model, revision), Task(task, "STS", split, subset), score, {}, source="mteb")


def test_a_known_benchmark_is_ranked_without_mteb(tmp_path):
    store = Store(tmp_path / "results.duckdb")
    runs = [
        run("lab/one", "A", "test", "en", 0.5),
        run("lab/one", "A", "test", "en", 0.9, "older"),
        run("lab/one", "A", "test", "de", 0.1),
        run("lab/one", "B", "dev", "default", 0.7),
        run("lab/two", "A", "test", "en", 0.4),
        run("lab/two", "B", "dev", "default", 0.6),
        run("lab/three", "A", "test", "en", 0.9),
    ]
    store.add_tables(tables(runs))
    file = tmp_path / benchmark_parts.file().name
    benchmark_parts.write(KNOWN, file)
    assert read(file) == KNOWN
    answer = subprocess.run(
        [sys.executable, "-c", _COMMAND, "leaderboard", "--benchmark", "SMALL-ONE", "--json"],
        env={**os.environ, "EMBEDLAB_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    rows = json.loads(answer.stdout)["rows"]
    assert [(row["name"], row["place"], row["scores"]) for row in rows] == [
        ("lab/one", 1, {"A": 0.5, "B": 0.7}),
        ("lab/two", 2, {"A": 0.4, "B": 0.6}),
        ("lab/three", None, {"A": 0.9}),
    ]
    assert answer.stderr.splitlines()[-1] == "[]"
    assert fullest(store, KNOWN.parts) == "Small"
    file.write_text(file.read_text()[:40])
    assert read(file) == Benchmarks() and fullest(store, {}) is None
