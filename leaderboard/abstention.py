"""How well a retriever knows where it fails: nAUC of abstention, after Gisserot-Boukhlef et al.,
2024 (arXiv:2402.12997, section 4).
"""

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

RATES = np.linspace(0, 1, 11)[:-1]  # of queries that are left out


def nauc(confidences: np.ndarray, scores: np.ndarray) -> float:
    """`naucs` of one confidence."""
    return naucs({"": confidences}, scores)[""]


def naucs(confidences: Mapping[str, np.ndarray], scores: np.ndarray) -> dict[str, float]:
    """By each confidence, the area under the score of the queries that are kept, as more and more
    of those with the least confidence are left out: 0 is the area without abstention, 1 that of an
    oracle.

    Queries of one confidence count with their mean score, so that their order plays no part.

    Args:
        confidences: by name, each `[queries]`, one query or more.
        scores: `[queries]`.

    Returns:
        1 at most; NaN where leaving out queries changes nothing.
    """
    oracle = _curve(scores, scores)
    best, flat = np.trapezoid(oracle, RATES), oracle[0] * (RATES[-1] - RATES[0])
    if best == flat:
        return dict.fromkeys(confidences, float("nan"))
    return {
        name: float((np.trapezoid(_curve(each, scores), RATES) - flat) / (best - flat))
        for name, each in confidences.items()
    }


def _curve(confidences: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The mean score of the queries that are kept, at each rate."""
    order = np.argsort(confidences, stable=True)
    values, by_confidence = confidences[order], scores[order]
    starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]])
    sizes = np.diff(np.r_[starts, len(values)])
    shared = np.repeat(np.add.reduceat(by_confidence, starts) / sizes, sizes)
    # The bits of `mean`, at a fifth of its cost.
    means = [np.add.reduce(shared[out:]) / (len(shared) - out) for out in _left_out(len(shared))]
    return np.array(means)


@lru_cache
def _left_out(queries: int) -> list[int]:
    """How many of so many queries are left out at each rate."""
    return [min(round(rate * queries), queries - 1) for rate in RATES]
