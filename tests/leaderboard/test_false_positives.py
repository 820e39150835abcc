"""Equally good models differ in one of twenty tests at 0.05, whatever the metric."""

import numpy as np
import pytest

from leaderboard.statistics.groups import pairwise_p_values
from leaderboard.statistics.significance import TESTS
from tests.leaderboard import simulated

TRIES = 250  # the standard error of a rate of 0.05 is 0.014


@pytest.mark.parametrize("metric", simulated.EQUAL)
def test_one_of_twenty_is_rejected(metric):
    differences = simulated.differences(simulated.EQUAL[metric], TRIES)
    for name, test in TESTS.items():
        options = {} if name == "t" else {"resamples": 1_000}
        assert 0.01 <= (test(differences, **options) <= 0.05).mean() <= 0.095, name


def test_means_over_tasks_of_several_types():
    rng = np.random.default_rng(1)
    kinds = [simulated.retrieval, simulated.sts, simulated.classification, simulated.pairs]
    p = [pairwise_p_values([[kind(rng)] for kind in kinds], "none")[0, 1] for _ in range(TRIES)]
    assert 0.01 <= (np.array(p) <= 0.05).mean() <= 0.095


def test_a_real_difference_is_found():
    """The same data, one model moved: a test that never rejects would pass the others."""
    differences = simulated.differences(simulated.sts, 20)
    moved = differences + 5 * differences.std(axis=1, keepdims=True) / np.sqrt(300)
    assert (TESTS["randomisation"](moved, resamples=1_000) <= 0.05).mean() > 0.9
