import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from leaderboard.statistics.groups import PairTests, letters, pairwise_p_values, tiers


def test_one_task_is_the_paired_t_test():
    scores = np.random.default_rng(0).random((4, 25))
    p = pairwise_p_values([[scores]], correction="none")
    for i in range(4):
        for j in range(4):
            expected = 1.0 if i == j else stats.ttest_rel(scores[i], scores[j]).pvalue
            np.testing.assert_allclose(p[i, j], expected)


def test_equal_models_share_a_letter():
    scores = np.random.default_rng(1).random(300)
    p = pairwise_p_values([[np.stack([scores, scores, scores + 0.3])]])
    assert p[0, 1] == 1.0
    assert p[0, 2] < 1e-6
    assert letters(p <= 0.05) == ["a", "a", "b"]


def test_alike_models_are_rarely_told_apart():
    rng = np.random.default_rng(2)
    false = 0
    for _ in range(1_000):
        tasks = [
            [rng.beta(1, 1, (5, 40)) + rng.normal(0, 0.3, 40), rng.random((5, 90))],
            [rng.beta(2, 1, (5, 120))],
        ]
        false += (pairwise_p_values(tasks) <= 0.05).any()
    assert false / 1_000 <= 0.06


def test_several_tasks_count_alike_however_many_queries_they_have():
    rng = np.random.default_rng(3)
    better_on_the_small = [[rng.random((2, 30))], [rng.random((2, 5_000))]]
    better_on_the_small[0][0][0] += 0.6
    assert pairwise_p_values(better_on_the_small)[0, 1] < 0.001


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 7), st.randoms(use_true_random=False))
def test_models_share_a_letter_exactly_when_not_different(models, random):
    different = np.zeros((models, models), dtype=bool)
    for i in range(models):
        for j in range(i):
            different[i, j] = different[j, i] = random.random() < 0.5
    given_letters = [set(text) for text in letters(different)]
    assert all(given_letters)
    for i in range(models):
        for j in range(models):
            if i != j:
                assert bool(given_letters[i] & given_letters[j]) != different[i, j]


def test_letters_are_given_out_in_order():
    different = np.array([[0, 0, 1], [0, 0, 0], [1, 0, 0]], dtype=bool)
    assert letters(different) == ["a", "ab", "b"]


def test_a_tier_begins_where_its_first_model_differs_from_the_first_before():
    apart = np.array([[0, 0, 1, 0, 1], [0, 0, 0, 1, 1], [1, 0, 0, 0, 0], [0] * 5, [1, 1, 0, 0, 0]])
    assert tiers(range(5), lambda model: apart[model] > 0).tolist() == [1, 1, 2, 2, 2]
    # From the best down: the fourth, third, first, second, fifth; the last differs from the first.
    order = [3, 2, 0, 1, 4]
    assert tiers(order, lambda model: apart[model] > 0).tolist() == [1, 1, 1, 1, 1]


def test_many_models_are_corrected_for_all_their_pairs():
    """That the first is the best of many is no reason to find it better than the others."""
    rng = np.random.default_rng(4)
    false = 0
    for _ in range(500):
        tests = PairTests([[rng.normal(0, 1, (40, 30)), rng.normal(0, 2, (40, 12))]])
        order = np.argsort(-tests.means).tolist()
        false += tiers(order, lambda model: tests.against_all(model) <= 0.05).max() > 1  # noqa: B023
    assert false / 500 <= 0.07
    scores = rng.normal(0, 1, (40, 30)) + np.linspace(0, 2, 40)[:, None]
    tests = PairTests([[scores]])
    p = tests.pairs("bonferroni")
    np.testing.assert_array_equal(p[3], tests.against_all(3))
    expected = stats.ttest_rel(scores[3], scores[30]).pvalue * 40 * 39 / 2
    assert p[3, 30] == pytest.approx(expected) and p[3, 3] == 1
