"""What an example adds to a score: the mean is the score, its standard error the bootstrap's."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics
from sklearn.metrics import average_precision_score, f1_score

from leaderboard.records import Examples
from leaderboard.statistics import influence
from leaderboard.statistics.example_values import values

N = 300
RNG = np.random.default_rng(0)
TRUTH = RNG.normal(size=N)
GOLD = np.round(2 * TRUTH) / 2  # with ties, as human judgements have them
NEAR = TRUTH + RNG.normal(size=N)
POSITIVE = (RNG.random(N) < 0.3).astype(float)
RANKED = np.round(POSITIVE + RNG.normal(size=N), 1)
LABELS = RNG.choice(5, N, p=(0.4, 0.3, 0.15, 0.1, 0.05))
GUESSED = np.where(RNG.random(N) < 0.6, LABELS, RNG.integers(0, 5, N))
SETS, FOUND = RNG.random((2, N, 4)) < [0.5, 0.3, 0.2, 0.1]
FOUND = np.where(RNG.random((N, 4)) < 0.7, SETS, FOUND)


def macro(a, b):
    return f1_score(a, b, average="macro", zero_division=0)


def weighted(a, b):
    return f1_score(a, b, average="weighted", zero_division=0)


CASES = {
    "pearson": (influence.pearson, lambda x, y: stats.pearsonr(x, y)[0], GOLD, NEAR),
    "spearman": (influence.spearman, lambda x, y: stats.spearmanr(x, y)[0], GOLD, NEAR),
    "ap": (influence.average_precision, average_precision_score, POSITIVE, RANKED),
    "f1": (influence.f1, macro, LABELS, GUESSED),
    "weighted f1": (
        lambda a, b: influence.f1(a, b, weighted=True), weighted, LABELS, GUESSED
    ),
    "v-measure": (influence.v_measure, metrics.v_measure_score, LABELS, GUESSED),
    "f1 of sets": (influence.f1_of_sets, macro, SETS, FOUND),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_mean_is_the_score_and_its_error_the_bootstraps(name):
    score_of_each, score, x, y = CASES[name]
    single = score_of_each(x, y)
    assert single.mean() == pytest.approx(score(x, y), abs=1e-12)
    drawn = np.random.default_rng(1).integers(0, N, (200, N))
    error = np.std([score(x[rows], y[rows]) for rows in drawn])
    assert single.std() / np.sqrt(N) == pytest.approx(error, rel=0.2)


@pytest.mark.parametrize("name", CASES)
def test_more_weight_on_an_example_moves_the_score_by_its_influence(name):
    """Each of eight examples comes once more among 50 copies of the data."""
    score_of_each, score, x, y = CASES[name]
    copies = 50
    many = np.tile(np.arange(N), copies)
    moved = [score(x[[*many, n]], y[[*many, n]]) - score(x, y) for n in range(8)]
    single = score_of_each(x, y)
    np.testing.assert_allclose(
        moved, (single[:8] - single.mean()) / (copies * N + 1), rtol=0.05, atol=6e-7
    )


def test_bootstraps_stand_for_the_error_of_other_texts():
    """The error is the spread of the bootstraps, whatever their number; at least that of the
    clusters as they are.
    """
    each = np.random.default_rng(2).normal(0.5, 0.01, (1, 10))
    for error, expected in ((0.001, each.std(ddof=1)), (0.03, 0.03)):
        record = Examples({"v_measure": each, "error": np.array([[error]])})
        single = values("Clustering", "v_measure", record)
        assert single.mean() == pytest.approx(each.mean())
        assert single.std(ddof=1) / np.sqrt(10) == pytest.approx(expected)


def test_a_record_without_what_a_metric_needs_has_no_values():
    pairs = Examples({"gold": GOLD[None], "cosine": NEAR[None]})
    assert values("STS", "cosine_spearman", pairs) is not None
    assert values("STS", "manhattan_spearman", pairs) is None
    assert values("Classification", "lrap", Examples({"accuracy": GOLD[None]})) is None
