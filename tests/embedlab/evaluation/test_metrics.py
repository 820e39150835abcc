"""The scorer against pytrec_eval and mteb, on random runs with ties,
graded labels and missing queries.
"""

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st

from embedlab.evaluation import metrics

CUTOFFS = (1, 3, 5, 10, 20, 100, 1000)
TREC = {
    "ndcg": "ndcg_cut",
    "map": "map_cut",
    "recall": "recall",
    "precision": "P",
    "hit_rate": "success",
}


def random_case(seed: int, *, levels: int, queries: int = 8, documents: int = 40, depth: int = 25):
    """A run whose scores take `levels` values
    (few values: many ties), and qrels that it only partly finds.
    """
    rng = np.random.default_rng(seed)
    # Rows do not follow the order of ids.
    document_ids = [f"doc{n}" for n in rng.permutation(documents)]
    query_ids = [f"q{n}" for n in range(queries)]
    rows = np.stack([rng.permutation(documents)[:depth] for _ in query_ids]).astype(np.int32)
    scores = rng.integers(-levels, levels, rows.shape).astype(np.float32) / 7
    rows[rng.random(rows.shape) < 0.1] = -1
    rows[0] = -1  # a query with no result
    qrels = {}
    for query in query_ids:
        judged = rng.choice(documents, size=rng.integers(1, 12), replace=False)
        qrels[query] = {document_ids[row]: int(rng.integers(-1, 4)) for row in judged}
        # mteb keeps only queries with a positive judgement.
        qrels[query][document_ids[judged[0]]] = 2
        qrels[query]["not in the corpus"] = int(rng.integers(0, 2))
    return rows, scores, document_ids, query_ids, qrels


def as_dicts(rows, scores, document_ids, query_ids):
    return {
        query: {
            document_ids[row]: float(score)
            for row, score in zip(rows[q], scores[q], strict=True)
            if row >= 0
        }
        for q, query in enumerate(query_ids)
    }


def score(rows, scores, document_ids, query_ids, qrels, **policy):
    ranked, _ = metrics.rank(rows, scores, document_ids, query_ids, **policy)
    return metrics.evaluate(ranked, metrics.judge(qrels, query_ids, document_ids), CUTOFFS)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 5, 1000]))
def test_equals_trec_eval_and_mteb(seed, levels):
    from mteb._evaluators.retrieval_metrics import mrr

    rows, scores, document_ids, query_ids, qrels = random_case(seed, levels=levels)
    ours = score(rows, scores, document_ids, query_ids, qrels)

    run = as_dicts(rows, scores, document_ids, query_ids)
    measures = {f"{name}.{','.join(map(str, CUTOFFS))}" for name in TREC.values()}
    theirs = pytrec_eval.RelevanceEvaluator(qrels, measures).evaluate(run)
    reciprocal = mrr(qrels, run, CUTOFFS)
    for k in CUTOFFS:
        for name, trec in TREC.items():
            expected = [theirs.get(query, {}).get(f"{trec}_{k}", 0.0) for query in query_ids]
            np.testing.assert_allclose(
                ours[f"{name}_at_{k}"], expected, atol=1e-9, err_msg=f"{name}@{k}"
            )
        np.testing.assert_allclose(ours[f"mrr_at_{k}"], reciprocal[f"MRR@{k}"], atol=1e-9)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_self_matches_are_removed(seed):
    rows, scores, document_ids, query_ids, qrels = random_case(seed, levels=3)
    document_ids[:4] = query_ids[:4]
    ours = score(rows, scores, document_ids, query_ids, qrels, remove_self=True)
    run = as_dicts(rows, scores, document_ids, query_ids)
    for query in query_ids:
        run[query].pop(query, None)
    theirs = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10"}).evaluate(run)
    expected = [theirs.get(query, {}).get("ndcg_cut_10", 0.0) for query in query_ids]
    np.testing.assert_allclose(ours["ndcg_at_10"], expected, atol=1e-9)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 1000]))
def test_a_document_counts_once_at_its_best_score(seed, levels):
    rows, scores, document_ids, query_ids, qrels = random_case(
        seed, levels=levels, documents=15, depth=15
    )
    rng = np.random.default_rng(seed)
    rows = np.concatenate([rows, rows[:, rng.permutation(15)[:9]]], axis=1)
    scores = np.concatenate(
        [scores, rng.integers(-levels, levels, (8, 9)).astype(np.float32) / 7], axis=1
    )
    run = {
        query: {
            document_ids[row]: float(scores[q][rows[q] == row].max())
            for row in np.unique(rows[q][rows[q] >= 0])
        }
        for q, query in enumerate(query_ids)
    }
    ranked, ordered = metrics.rank(rows, scores, document_ids, query_ids)
    for q, query in enumerate(query_ids):
        kept = ranked[q][ranked[q] >= 0]
        assert len(set(kept)) == len(kept) == len(run[query])
        assert (ranked[q][len(kept) :] == -1).all() and (
            np.diff(ordered[q][: len(kept)]) <= 0
        ).all()
    ours = metrics.evaluate(ranked, metrics.judge(qrels, query_ids, document_ids), CUTOFFS)
    measures = {"ndcg_cut.10", "recall.100", "map_cut.1000"}
    theirs = pytrec_eval.RelevanceEvaluator(qrels, measures).evaluate(run)
    for name, trec in (
        ("ndcg_at_10", "ndcg_cut_10"),
        ("recall_at_100", "recall_100"),
        ("map_at_1000", "map_cut_1000"),
    ):
        expected = [theirs.get(query, {}).get(trec, 0.0) for query in query_ids]
        np.testing.assert_allclose(ours[name], expected, atol=1e-9)


def test_equal_scores_rank_as_trec_eval_or_as_anserini_does():
    rows, scores = (
        np.array([[0, 1, 2, -1]], dtype=np.int32),
        np.array([[1, 2, 1, 0]], dtype=np.float32),
    )
    assert metrics.rank(rows, scores, ["a", "b", "c"])[0].tolist() == [[1, 2, 0, -1]]
    assert metrics.rank(rows, scores, ["a", "b", "c"], smaller_first=True)[0].tolist() == [
        [1, 0, 2, -1]
    ]


def test_a_query_judged_0_alone_counts():
    rows, scores = np.array([[0], [1]], dtype=np.int32), np.ones((2, 1), dtype=np.float32)
    qrels = {"q": {"a": 1}, "r": {"b": 0}}
    found = score(rows, scores, ["a", "b"], ["q", "r"], qrels)
    assert found["ndcg_at_10"].tolist() == [1, 0]
    theirs = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10"}).evaluate(
        {"q": {"a": 1.0}, "r": {"b": 1.0}}
    )
    assert [theirs[query]["ndcg_cut_10"] for query in ("q", "r")] == [1, 0]


def test_first_result_is_skipped():
    rows, scores = np.array([[2, 0, 1]], dtype=np.int32), np.array([[3, 2, 1]], dtype=np.float32)
    ours = score(rows, scores, ["a", "b", "c"], ["q"], {"q": {"c": 1, "a": 1}}, skip_first=True)
    assert ours["mrr_at_1"] == 1.0
    assert ours["recall_at_10"] == 0.5


def test_a_constant_scorer_is_ordered_by_id_alone():
    document_ids = ["a", "c", "b"]
    rows, scores = metrics.rank(
        np.array([[0, 1, 2]], dtype=np.int32), np.ones((1, 3), np.float32), document_ids
    )
    assert [document_ids[row] for row in rows[0]] == ["c", "b", "a"]
    assert scores.tolist() == [[1, 1, 1]]


@pytest.mark.parametrize(
    "values", [[0.0, -0.0, 1.0], [-1.5, -2.5, -0.25], [np.float32(1e-30), 0.0, -1e30]]
)
def test_sorting_by_bits_keeps_the_order_of_floats(values):
    scores = np.array([values], dtype=np.float32)
    rows, ranked = metrics.rank(np.arange(3, dtype=np.int32)[None], scores, ["x", "y", "z"])
    np.testing.assert_array_equal(ranked, -np.sort(-scores, axis=1))
    np.testing.assert_array_equal(scores[0][rows[0]], ranked[0])


def test_an_empty_run_scores_zero():
    ours = score(
        np.empty((2, 0), np.int32),
        np.empty((2, 0), np.float32),
        ["a"],
        ["p", "q"],
        {"p": {"a": 1}, "q": {"a": 2}},
    )
    assert all((values == 0).all() and len(values) == 2 for values in ours.values())
