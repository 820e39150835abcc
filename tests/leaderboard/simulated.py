"""Pairs of models that are equally good, scored on data that is drawn anew each time."""

import random
from unittest.mock import patch

import numpy as np

from leaderboard.records import Examples
from leaderboard.statistics import influence
from leaderboard.statistics.example_values import values

EXPERIMENTS = 10


def retrieval(rng, n=150):
    """nDCG-like: many queries at 0 or 1, others between, both models near each other."""
    hard = rng.normal(0.5, 0.6, n)
    return np.clip(hard + rng.normal(0, 0.3, (2, n)), 0, 1)


def sts(rng, n=300):
    """Human judgements in half steps; what a model sees of them, in part with the other."""
    truth = rng.normal(size=n)
    seen = truth + rng.normal(0, 0.6, n) + rng.normal(0, 0.6, (2, n))
    gold = np.round(2 * np.clip(truth, -2, 2)) / 2
    return _values("STS", "cosine_spearman", [{"gold": gold, "cosine": each} for each in seen])


def pairs(rng, n=300):
    gold = (rng.random(n) < 0.3).astype(float)
    seen = gold + rng.normal(0, 0.5, n) + rng.normal(0, 0.5, (2, n))
    return _values(
        "PairClassification", "max_ap",
        [{"gold": gold, "cosine_scores": each, "manhattan_distances": 1 - each} for each in seen],
    )  # fmt: skip


def classification(rng, n=200, metric="accuracy"):
    """Four labels, the last rare; each experiment errs on its own beside what is hard for all."""
    gold = rng.choice(4, n, p=(0.4, 0.3, 0.2, 0.1)).astype(float)
    hard = rng.normal(size=n)
    own = rng.normal(0, 0.7, (2, 1, n)) + rng.normal(0, 0.7, (2, EXPERIMENTS, n))
    wrong = hard + own > 0.8
    guess = rng.integers(0, 4, (2, EXPERIMENTS, n))
    predicted = np.where(wrong, guess, gold)
    return _values(
        "Classification", metric, [{"gold": gold, "predicted": each} for each in predicted]
    )


def macro_f1(rng):
    return classification(rng, 300, "f1")


def several_labels(rng, n=250):
    sets = rng.random((n, 5)) < [0.5, 0.4, 0.3, 0.2, 0.15]
    hard = rng.normal(size=(n, 5))
    own = rng.normal(0, 0.7, (2, 1, n, 5)) + rng.normal(0, 0.7, (2, 3, n, 5))
    found = np.where(hard + own > 0.9, ~sets, sets)
    bits = 2.0 ** np.arange(5)
    return _values(
        "MultilabelClassification", "f1",
        [{"gold_set": sets @ bits, "predicted_set": each @ bits} for each in found],
    )  # fmt: skip


def bitext(rng, n=200):
    """A sentence whose partner is not found takes a neighbour's."""
    gold = np.arange(n, dtype=float)
    missed = rng.normal(size=n) + rng.normal(0, 0.7, (2, n)) > 1
    predicted = np.where(missed, rng.integers(0, n, (2, n)), gold)
    return _values("BitextMining", "f1", [{"gold": gold, "predicted": each} for each in predicted])


def clustering(rng, n=120, drawn=None, noise=0.7):
    """mteb's bootstraps of texts in four clusters, seen through vectors of two dimensions."""
    from mteb.abstasks import clustering as of_mteb

    labels = rng.integers(0, 4, n)
    centres = np.array([[0, 0], [0, 3], [3, 0], [3, 3]], np.float64)
    shared = centres[labels] + rng.normal(0, noise, (n, 2))
    seed, each = int(rng.integers(2**31)), []
    for _ in range(2):
        found = []

        def v_measure(gold, clusters, found=found, score=of_mteb.v_measure_score):
            found.append(influence.v_measure(gold, clusters).std() / np.sqrt(n))
            return score(gold, clusters)

        with patch.object(of_mteb, "v_measure_score", v_measure):
            scores, _ = of_mteb._evaluate_clustering_bootstrapped(
                shared + rng.normal(0, noise, (n, 2)), [[int(label)] for label in labels],
                n_clusters=10, cluster_size=drawn or n, kmean_batch_size=512, max_depth=None,
                rng_state=random.Random(seed), seed=seed,
            )  # fmt: skip
        each.append({"v_measure": scores["v_measure"]["Level 0"], "error": [np.mean(found)]})
    return _values("Clustering", "v_measure", each)


EQUAL = {
    "per-query scores": retrieval,
    "Spearman": sts,
    "max AP": pairs,
    "accuracy": classification,
    "macro F1": macro_f1,
    "F1 of several labels": several_labels,
    "F1 of bitext": bitext,
}


def differences(model, count, seed=0):
    """First less second, of `count` data sets: float64 `[count, examples]`."""
    rng = np.random.default_rng(seed)
    return np.stack([np.subtract(*model(rng)) for _ in range(count)])


def _values(task_type, metric, series):
    each = [
        Examples({name: np.atleast_2d(np.asarray(v, float)) for name, v in one.items()})
        for one in series
    ]
    return np.stack([values(task_type, metric, one) for one in each])
