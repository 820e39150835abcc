"""Abstention scores are mteb's, to the bit."""

import numpy as np
import pytest

from leaderboard.abstention import nauc


@pytest.mark.parametrize("queries", [1, 2, 5, 10, 11, 64, 323])
@pytest.mark.parametrize("grain", [1, 3, 1000])  # how many values there are: few make many ties
def test_scores_are_mteb_s(queries, grain):
    from mteb._evaluators import retrieval_metrics

    random = np.random.default_rng(queries * grain)
    for _ in range(5):
        confidences, scores = random.integers(0, grain, (2, queries)) / grain
        mine, theirs = nauc(confidences, scores), retrieval_metrics.nauc(confidences, scores)
        assert mine == theirs or (np.isnan(mine) and np.isnan(theirs))


def test_an_oracle_has_1_and_chance_has_0():
    scores = np.random.default_rng(0).random(1000)
    assert nauc(scores, scores) == pytest.approx(1.0)
    assert nauc(-scores, scores) < -0.5
    assert abs(nauc(np.random.default_rng(1).random(1000), scores)) < 0.2
    assert np.isnan(nauc(scores, np.ones(1000)))
