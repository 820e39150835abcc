"""Rank-biased precision (Moffat and Zobel, TOIS 2008), of a reader who goes on to the next document
4 times of 5.
"""

import numpy as np

from leaderboard.metric import Metric, Relevance

_GOES_ON = 0.8


def rank_biased_precision(found: Relevance, k: int) -> np.ndarray:
    """What such a reader of the best k documents gets of relevant ones,
    per document read: float64 `[queries]`.
    """
    relevant = found.gains[:, :k] > 0
    return (1 - _GOES_ON) * (relevant * _GOES_ON ** np.arange(relevant.shape[1])).sum(axis=1)


RBP = Metric(rank_biased_precision, shown="RBP")
