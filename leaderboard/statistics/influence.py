"""Scores that are no means, as means: what each example adds to them.

A statistic of n examples is, to the first order, the mean of its value plus each example's
influence on it (Hampel, JASA 1974): how it changes as the example gets more weight, times n. The
influences add up to 0, so that the mean of what is returned here is the statistic itself, and its
standard error is theirs: the infinitesimal jackknife (Efron and Tibshirani 1993, chapter 22; for
AUC, DeLong et al. 1988). Resampling these values is the bootstrap of the statistic to the first
order, at the price of a mean.

Every function returns float64 `[examples]`; the correlations also take several runs at once,
`[runs, examples]`.
"""

from typing import Literal

import numpy as np


def pearson(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Pearson's correlation (Devlin et al., Biometrika 1975)."""
    a, b = _standard(x), _standard(y)
    r = (a * b).mean(axis=-1, keepdims=True)
    values: np.ndarray = r + a * b - r * (a**2 + b**2) / 2
    return values


def spearman(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Spearman's correlation, ties at their mean rank: Pearson's of the ranks, which an example
    changes for all that lie beyond it.
    """
    ranks = _ranks(x), _ranks(y)
    a, b = map(_standard, ranks)
    r = (a * b).mean(axis=-1, keepdims=True)
    direct = pearson(*ranks)
    shifts = _shift(ranks[0], (b - r * a) / ranks[0].std(axis=-1, keepdims=True))
    shifts += _shift(ranks[1], (a - r * b) / ranks[1].std(axis=-1, keepdims=True))
    values: np.ndarray = direct + shifts - shifts.mean(axis=-1, keepdims=True)
    return values


def average_precision(relevant: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Average precision of pairs ranked by `scores`, equal ones as one step, as in scikit-learn.

    Args:
        relevant: 0 or 1.
    """
    order = np.argsort(-scores, kind="stable")
    y = relevant[order].astype(np.float64)
    last = np.flatnonzero(np.r_[np.diff(scores[order]) != 0, True])  # of each step
    step = np.repeat(np.arange(len(last)), np.diff(np.r_[-1, last]))
    ranked = (last + 1.0)[step]
    precision = np.cumsum(y)[last][step] / ranked
    positives = y.sum()
    score = float((y * precision).sum() / positives)
    first = np.r_[0, last[:-1] + 1][step]
    # Sums over the positives that rank no higher: each example counts among what they stand behind.
    inverse, precise = (
        np.cumsum((y * each / ranked)[::-1])[::-1][first] for each in (1.0, precision)
    )
    values = np.empty(len(y))
    values[order] = score + len(y) / positives * (y * (precision - score) + y * inverse - precise)
    return values


def f1(gold: np.ndarray, predicted: np.ndarray, *, weighted: bool = False) -> np.ndarray:
    """F1 averaged over labels: all alike (macro), or by how many examples have each."""
    labels, codes = np.unique(np.concatenate([gold, predicted]), return_inverse=True)
    y, p = codes[: len(gold)], codes[len(gold) :]
    right = y == p
    counts = [np.bincount(each, minlength=len(labels)) for each in (y, p)]
    sizes = counts[0] + counts[1]
    scores = 2 * np.bincount(y[right], minlength=len(labels)) / sizes
    weights = counts[0] / len(y) if weighted else np.full(len(labels), 1 / len(labels))
    score = float((weights * scores).sum())
    rise = weights * (2 - 2 * scores) / sizes
    fall = weights * scores / sizes
    influence = len(y) * np.where(right, rise[y], -fall[y] - fall[p])
    values: np.ndarray = score + influence + ((scores[y] - score) if weighted else 0.0)
    return values


def f1_of_sets(gold: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """F1 averaged over labels of which an example may have several, bool `[examples, labels]`; 0
    for a label that none has.
    """
    right, sizes = gold & predicted, gold.sum(axis=0) + predicted.sum(axis=0)
    used = sizes > 0
    scores = np.divide(2 * right.sum(axis=0), sizes, out=np.zeros(len(sizes)), where=used)
    each = 2.0 * right - scores * (gold.astype(float) + predicted)
    influence = np.divide(each, sizes, out=np.zeros(each.shape), where=used) * len(gold)
    values: np.ndarray = scores.mean() + influence.mean(axis=1)
    return values


def v_measure(gold: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """V-measure of clusters as they are (Rosenberg and Hirschberg, EMNLP 2007): mutual information
    over the mean of the entropies of labels and clusters.
    """
    _, y = np.unique(gold, return_inverse=True)
    _, c = np.unique(clusters, return_inverse=True)
    joint = np.zeros((y.max() + 1, c.max() + 1))
    np.add.at(joint, (y, c), 1 / len(y))
    rows, columns = np.log(joint.sum(axis=1)), np.log(joint.sum(axis=0))
    both = np.log(joint, out=np.zeros(joint.shape), where=joint > 0)
    shared = (both - rows[:, None] - columns)[y, c]
    apart = -(rows[y] + columns[c])
    total, information = apart.mean(), shared.mean()
    if total == 0:  # one label, one cluster
        return np.ones(len(y))
    score = 2 * information / total
    values: np.ndarray = score + (2 * (shared - information) - score * (apart - total)) / total
    return values


def best_accuracy(positive: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Whether each pair is right under the threshold that is best for all, as mteb looks for it:
    between two different scores; a threshold's own shift is of the second order.
    """
    order = np.argsort(-scores, kind="stable")
    y = positive[order].astype(np.int64)
    accurate = (np.cumsum(y) + (1 - y).sum() - np.cumsum(1 - y))[:-1] / len(y)
    accurate[np.diff(scores[order]) == 0] = 0.0
    best = int(np.argmax(accurate)) if len(accurate) else -1
    if best < 0 or accurate[best] == 0:
        return np.zeros(len(y))
    values = np.empty(len(y))
    values[order] = y == (np.arange(len(y)) <= best)
    return values


def _standard(values: np.ndarray) -> np.ndarray:
    mean, deviation = (each(values, axis=-1, keepdims=True) for each in (np.mean, np.std))
    standard: np.ndarray = (values - mean) / deviation
    return standard


def _ranks(values: np.ndarray, ties: Literal["average", "min", "max"] = "average") -> np.ndarray:
    from scipy.stats import rankdata

    ranks: np.ndarray = rankdata(values, ties, axis=-1)
    return ranks


def _shift(ranks: np.ndarray, pull: np.ndarray) -> np.ndarray:
    """The mean of `pull` over the examples that rank higher, those that rank alike by half."""
    ordered = np.take_along_axis(pull, ranks.argsort(axis=-1, kind="stable"), axis=-1)
    from_here = ordered[..., ::-1].cumsum(axis=-1)[..., ::-1]
    from_here = np.concatenate([from_here, np.zeros_like(from_here[..., :1])], axis=-1)
    # Those that rank alike stand from `first` to before `after`.
    first = _ranks(ranks, "min").astype(int) - 1
    after = _ranks(ranks, "max").astype(int)
    # Ranks of n examples: one more below lifts a rank by 1.
    ends = [np.take_along_axis(from_here, at, axis=-1) for at in (first, after)]
    shifted: np.ndarray = np.mean(ends, axis=0)
    return shifted
