"""The scorer beside pytrec_eval and mteb's own functions:
2,000 queries x 1,000 documents, in one process.
"""

import time

import numpy as np
import pytest
import pytrec_eval

pytestmark = pytest.mark.bench
QUERIES, DEPTH, DOCUMENTS = 2_000, 1_000, 100_000


def best_of(times: int, call):
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        answer = call()
        taken.append(time.perf_counter() - began)
    return min(taken), answer


@pytest.mark.parametrize("ties", [False, True], ids=["distinct scores", "many ties"])
def test_scorer(ties, capsys):
    from mteb._evaluators.retrieval_metrics import calculate_retrieval_scores

    rng = np.random.default_rng(0)
    document_ids, query_ids = [f"d{n}" for n in range(DOCUMENTS)], [f"q{n}" for n in range(QUERIES)]
    rows = np.stack([rng.choice(DOCUMENTS, DEPTH, replace=False) for _ in query_ids]).astype(
        np.int32
    )
    scores = -np.sort(-rng.normal(size=rows.shape).astype(np.float32), axis=1)
    if ties:
        scores = np.round(scores, 2)
    qrels = {
        query: {
            document_ids[rows[q, place]]: int(rng.integers(1, 4))
            for place in rng.choice(DEPTH, 20, replace=False)
        }
        for q, query in enumerate(query_ids)
    }
    run = {
        query: {
            document_ids[row]: float(score) for row, score in zip(rows[q], scores[q], strict=True)
        }
        for q, query in enumerate(query_ids)
    }

    judging, judgements = best_of(3, lambda: metrics.judge(qrels, query_ids, document_ids))
    ours, metrics = best_of(
        3, lambda: metrics.evaluate(metrics.rank(rows, scores, document_ids)[0], judgements)
    )
    cuts = ",".join(map(str, metrics.CUTOFFS))
    evaluator = pytrec_eval.RelevanceEvaluator(
        qrels, {f"{name}.{cuts}" for name in ("ndcg_cut", "map_cut", "recall", "P", "success")}
    )
    trec, theirs = best_of(3, lambda: evaluator.evaluate(run))
    mteb, _ = best_of(1, lambda: calculate_retrieval_scores(run, qrels, metrics.CUTOFFS))

    expected = [theirs[query]["ndcg_cut_10"] for query in query_ids]
    np.testing.assert_allclose(metrics["ndcg_at_10"], expected, atol=1e-9)
    with capsys.disabled():
        print(
            f"\n{QUERIES:,} queries x {DEPTH:,} documents,"
            f" {'many ties' if ties else 'distinct scores'}: embedlab {ours:.3f} s (judgements to"
            f" arrays, once per task: {judging:.3f} s), pytrec_eval {trec:.3f} s"
            f" ({trec / ours:.1f} x), mteb {mteb:.3f} s ({mteb / ours:.1f} x)"
        )
