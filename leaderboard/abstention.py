"""How well a retriever knows where it fails: nAUC of abstention, after Gisserot-Boukhlef et al.,
2024 (arXiv:2402.12997, section 4).
"""

import numpy as np

RATES = np.linspace(0, 1, 11)[:-1]  # of queries that are left out


def nauc(confidences: np.ndarray, scores: np.ndarray) -> float:
    """The area under the score of the queries that are kept, as more and more of those with the
    least confidence are left out: 0 is the area without abstention, 1 that of an oracle.

    Queries of one confidence count with their mean score, so that their order plays no part.

    Args:
        confidences, scores: `[queries]`, one query or more.

    Returns:
        1 at most; NaN where leaving out queries changes nothing.
    """
    curve, oracle = _curve(confidences, scores), _curve(scores, scores)
    area, best = (float(np.trapezoid(each, RATES)) for each in (curve, oracle))
    flat = oracle[0] * (RATES[-1] - RATES[0])
    return float("nan") if best == flat else float((area - flat) / (best - flat))


def _curve(confidences: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The mean score of the queries that are kept, at each rate."""
    order = np.argsort(confidences, stable=True)
    values, by_confidence = confidences[order], scores[order]
    starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]])
    sizes = np.diff(np.r_[starts, len(values)])
    shared = np.repeat(np.add.reduceat(by_confidence, starts) / sizes, sizes)
    left_out = [min(round(rate * len(shared)), len(shared) - 1) for rate in RATES]
    return np.array([shared[count:].mean() for count in left_out])
