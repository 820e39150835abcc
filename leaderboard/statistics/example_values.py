"""What each example adds to a score that was computed without a ranking: values whose mean is it.

They are to other tasks what per-query scores are to retrieval: tests, intervals and groups take
either. Of an accuracy they are the examples' own, averaged over the experiments (training sets,
folds); of a statistic that is no mean, its first-order expansion
(`leaderboard.statistics.influence`).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from leaderboard.records import Examples
from leaderboard.statistics import influence

_Series = Mapping[str, np.ndarray]
_PAIRS = {  # similarities of a labelled pair -> whether higher is more alike
    "similarity_scores": True,
    "cosine_scores": True,
    "dot_scores": True,
    "manhattan_distances": False,
    "euclidean_distances": False,
}


def values(task_type: str, metric: str, examples: Examples) -> np.ndarray | None:
    """Float64 `[examples]`, NaN for an example that has no part in the score; None where the record
    does not hold what `metric` needs.

    Args:
        task_type: as mteb has it, STS.
        metric: as the store names it, cosine_spearman.
    """
    series = examples.series
    if metric in series:
        return _bootstraps(series, metric) if "error" in series else _mean(series[metric])
    if "gold_set" in series:
        return _of_sets(series, metric)
    if "gold" not in series:
        return None
    if "cosine" in series and metric in _CORRELATIONS:
        return _CORRELATIONS[metric](series["gold"][0], series["cosine"][0])
    if metric in _OF_PAIRS and "cosine_scores" in series:
        return _of_pairs(series, _OF_PAIRS[metric])
    score = (_BITEXT if task_type == "BitextMining" else _CLASSES).get(metric)
    return _over_experiments(series, score) if score and "predicted" in series else None


def of_runs(
    task_type: str, metric: str, recorded: Sequence[Examples]
) -> list[np.ndarray] | list[np.ndarray | None]:
    """`values` of several runs on the same examples; correlations at once, since thousands of runs
    would take minutes one by one.
    """
    every = [each.series for each in recorded]
    paired = metric in _CORRELATIONS and all({"gold", "cosine"} <= each.keys() for each in every)
    if paired and len({each[name].shape for each in every for name in ("gold", "cosine")}) == 1:
        gold, near = (np.stack([each[name][0] for each in every]) for name in ("gold", "cosine"))
        return list(_CORRELATIONS[metric](gold, near))
    return [values(task_type, metric, each) for each in recorded]


class Unit(NamedTuple):
    """What the values of a task are of: its name in the plural, and whether each value is the
    example's own (right or wrong, a correlation), so that wins and losses can be counted.
    """

    name: str
    own: bool


_UNITS = {
    "STS": "pairs",
    "PairClassification": "pairs",
    "BitextMining": "sentences",
    "Classification": "examples",
    "MultilabelClassification": "examples",
    "Clustering": "clusterings",
    "Summarization": "texts",
}


QUERIES = Unit("queries", own=True)


def unit(task_type: str, metric: str) -> Unit:
    """The unit of a task's values; of tasks that rank documents, the query."""
    if task_type not in _UNITS:
        return QUERIES
    return Unit(_UNITS[task_type], own=metric == "accuracy" or task_type == "Summarization")


def _mean(experiments: np.ndarray) -> np.ndarray:
    """Of each example over the experiments."""
    means: np.ndarray = experiments.mean(axis=0)
    return means


def _right(gold: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    right: np.ndarray = np.equal(gold, predicted).astype(np.float64)
    return right


def _weighted_f1(gold: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    return influence.f1(gold, predicted, weighted=True)


_Score = Callable[[np.ndarray, np.ndarray], np.ndarray]
_CORRELATIONS: dict[str, _Score] = {
    "cosine_spearman": influence.spearman,
    "cosine_pearson": influence.pearson,
}
_OF_PAIRS: dict[str, _Score] = {
    "max_ap": influence.average_precision,
    "max_accuracy": influence.best_accuracy,
}
_CLASSES: dict[str, _Score] = {
    "accuracy": _right,
    "f1": influence.f1,
    "f1_weighted": _weighted_f1,
}
_BITEXT: dict[str, _Score] = {"accuracy": _right, "f1": _weighted_f1}


def _over_experiments(series: _Series, score: _Score) -> np.ndarray:
    """The mean over experiments. Where each tests a part of the examples alone (folds), what they
    are to their fold counts by its share.
    """
    predicted = series["predicted"]
    gold = np.broadcast_to(series["gold"], predicted.shape)
    each = np.empty(predicted.shape)
    for right, guessed, out in zip(gold, predicted, each, strict=True):
        tested = ~np.isnan(guessed)
        found = score(right[tested], guessed[tested])
        mean = found.mean()
        out[:] = mean
        out[tested] += (found - mean) * (len(tested) / tested.sum())
    means: np.ndarray = each.mean(axis=0)
    return means


def _of_sets(series: _Series, metric: str) -> np.ndarray | None:
    if metric not in ("accuracy", "f1"):
        return None
    gold, predicted = series["gold_set"][0], series["predicted_set"]
    if metric == "accuracy":
        return _mean(_right(gold, predicted))
    most = int(max(gold.max(), predicted.max())).bit_length()
    bits = np.arange(max(most, 1))

    def labels(sets: np.ndarray) -> np.ndarray:
        return (sets.astype(np.int64)[:, None] >> bits & 1).astype(bool)

    of_gold = labels(gold)
    each = [influence.f1_of_sets(of_gold, labels(one)) for one in predicted]
    means: np.ndarray = np.mean(each, axis=0)
    return means


def _of_pairs(series: _Series, score: _Score) -> np.ndarray:
    """By the similarity that scores best: mteb's max."""
    gold = series["gold"][0]
    found = [
        score(gold, series[name][0] if high else -series[name][0])
        for name, high in _PAIRS.items()
        if name in series
    ]
    return max(found, key=lambda each: float(each.mean()))


def _bootstraps(series: _Series, metric: str) -> np.ndarray:
    """The score of each bootstrap, spread so that the standard error of their mean is that of the
    score under other texts.

    Bootstraps of the same texts differ as scores of other texts would: their standard deviation is
    the standard error (Efron and Tibshirani 1993, algorithm 6.1), and does not shrink with their
    number. Where one draws more texts than there are, they differ less: then the error of the
    V-measure of the clusters as they are is the least that is taken.
    """
    each = series[metric].mean(axis=0)
    deviation = each.std(ddof=1) if len(each) > 1 else 0.0
    wider = max(1.0, float(series["error"][0, 0]) / deviation) if deviation else 1.0
    spread: np.ndarray = each.mean() + (each - each.mean()) * wider * np.sqrt(len(each))
    return spread
