"""The metrics of rankings that come with the package,
as trec_eval 9 defines them, and MRR as mteb does.
"""

import numpy as np

from leaderboard.metric import Metric, Relevance, divide


def ndcg(relevance: Relevance, k: int) -> np.ndarray:
    """Discounted cumulative gain over that of the ideal ranking; gains are linear."""
    query, rank, gain, _ = relevance.hits
    top, ideal = rank < k, relevance.ideal_rank < k
    dcg = relevance.per_query(query[top], gain[top] / np.log2(rank[top] + 2))
    best = relevance.per_query(
        relevance.ideal_query[ideal],
        relevance.ideal_gain[ideal] / np.log2(relevance.ideal_rank[ideal] + 2),
    )
    return divide(dcg, best)


def average_precision(relevance: Relevance, k: int) -> np.ndarray:
    """The mean over all relevant documents of the precision at their ranks,
    0 for those beyond k.
    """
    query, rank, _, before = relevance.hits
    top, precision = rank < k, (before + 1) / (rank + 1)
    return divide(relevance.per_query(query[top], precision[top]), relevance.relevant)


def recall(relevance: Relevance, k: int) -> np.ndarray:
    """The share of the relevant documents that the best k hold."""
    return divide(_hits_within(relevance, k), relevance.relevant)


def precision(relevance: Relevance, k: int) -> np.ndarray:
    """The share of k that is relevant, also where fewer than k were ranked."""
    return _hits_within(relevance, k) / k


def reciprocal_rank(relevance: Relevance, k: int) -> np.ndarray:
    """1 over the rank of the first relevant document, 0 beyond k."""
    query, rank, _, before = relevance.hits
    first = (rank < k) & (before == 0)
    return relevance.per_query(query[first], 1 / (rank[first] + 1))


def success(relevance: Relevance, k: int) -> np.ndarray:
    """1 where a relevant document is among the best k."""
    return (_hits_within(relevance, k) > 0).astype(np.float64)


def _hits_within(relevance: Relevance, k: int) -> np.ndarray:
    query, rank, _, _ = relevance.hits
    return relevance.per_query(query[rank < k])


METRICS = {
    "ndcg": Metric(ndcg, "nDCG", trec="ndcg_cut", abstention=True),
    "map": Metric(average_precision, "MAP", ("ap",), trec="map_cut", abstention=True),
    "recall": Metric(recall, "R", trec="recall", abstention=True),
    "precision": Metric(precision, "P", trec="P", abstention=True),
    "mrr": Metric(reciprocal_rank, "MRR", ("rr",), abstention=True),
    "hit_rate": Metric(success, "Success", trec="success"),
}
