"""SciFact by all-MiniLM-L6-v2 from the start of a process to its score: `embedlab eval` beside
`mteb.evaluate`, both on the GPU.
"""

import json
import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

from tests.bench.gpu.figures import Figures
from tests.bench.gpu.worker import Place, Skipped

MTEB = """
import json, sys
import mteb
from sentence_transformers import SentenceTransformer
from embedlab import tasks
model = SentenceTransformer(sys.argv[2], device=sys.argv[3])
(task,) = tasks.resolve([sys.argv[1]])
tasks.load(task)
options = {"cache": None, "show_progress_bar": False, "encode_kwargs": {"batch_size": 32}}
result = mteb.evaluate(model, task, **options)
print(json.dumps(result[0].scores["test"][0]["ndcg_at_10"]))
"""


def run(figures: Figures, place: Place) -> None:
    for given, option in ((place.minilm, "--minilm"), (place.scifact, "--scifact")):
        if not given:
            raise Skipped(f"it needs {option} FOLDER")
        if not Path(given).is_dir():
            raise Skipped(f"{option} {given} is no folder")
    for package in ("mteb", "duckdb"):
        if find_spec(package) is None:
            raise Skipped(f"{package} is not installed")
    device = place.device.partition(":")[0]
    ours = [sys.executable, "-m", "embedlab", "eval", "--model", place.minilm, "--task",
            place.scifact, "--device", device, "--json"]  # fmt: skip
    theirs = [sys.executable, "-c", MTEB, place.scifact, place.minilm, device]
    seconds, out = _process(theirs, place.scratch / "mteb")
    figures.add("mteb.evaluate, float32", seconds, "s", nDCG_at_10=json.loads(out.splitlines()[-1]))
    for label, home, more in (
        ("embedlab eval, cold", "own", []),
        ("embedlab eval, warm", "own", []),
        ("embedlab eval, cold, float32", "float32", ["--dtype", "float32"]),
    ):
        taken, out = _process([*ours, *more], place.scratch / home)
        run_ = json.loads(out)["runs"][0]
        figures.add(label, taken, "s", nDCG_at_10=run_["main_score"],
                    encoding=run_["costs"]["encoded_now_seconds"],
                    times_faster=seconds / taken)  # fmt: skip


def _process(command: list[str], home: Path) -> tuple[float, str]:
    began = time.perf_counter()
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "EMBEDLAB_HOME": str(home)}
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2_000:])
    return time.perf_counter() - began, done.stdout
