import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from leaderboard.errors import LeaderboardError
from leaderboard.statistics.significance import (
    TESTS,
    bootstrap_test,
    correct,
    effect_size,
    needed,
    randomisation_test,
    t_test,
    win_tie_loss,
)

TRIALS = 2_000


def shuffled_labels(trials: int, queries: int) -> np.ndarray:
    """Differences of two real-looking score series whose labels were shuffled per query:
    the null holds.
    """
    rng = np.random.default_rng(11)
    first = rng.beta(0.6, 0.4, (trials, queries)).round(2)
    second = np.clip(first + rng.normal(0.05, 0.3, first.shape), 0, 1).round(2)
    swap = rng.random(first.shape) < 0.5
    return np.where(swap, second - first, first - second)


@pytest.mark.parametrize("name", TESTS)
def test_under_the_null_five_percent_are_rejected(name):
    options = {} if name == "t" else {"resamples": 2_000}
    p = TESTS[name](shuffled_labels(TRIALS, 60), **options)
    assert p.shape == (TRIALS,)
    assert 0.04 <= (p <= 0.05).mean() <= 0.06


@pytest.mark.parametrize("name", TESTS)
def test_a_real_difference_is_found(name):
    differences = np.random.default_rng(0).normal(0.05, 0.1, 200)
    assert TESTS[name](differences) < 0.001


def test_holm_bounds_the_chance_of_any_false_difference():
    families = shuffled_labels(TRIALS * 10, 40).reshape(TRIALS, 10, 40)
    p = t_test(families)
    assert (p <= 0.05).any(axis=1).mean() > 0.3, "without correction, a family of ten errs often"
    corrected = np.array([correct(family, "holm") for family in p])
    assert (corrected <= 0.05).any(axis=1).mean() <= 0.05


def test_exact_randomisation_equals_scipy():
    differences = np.random.default_rng(1).normal(0.1, 0.3, (5, 11)).round(1)
    ours = randomisation_test(differences)
    for row, p in zip(differences, ours, strict=True):
        theirs = stats.permutation_test(
            (row,), np.mean, permutation_type="samples", n_resamples=np.inf
        )
        assert p == pytest.approx(theirs.pvalue, abs=1e-12)


def test_sampled_randomisation_agrees_with_scipy():
    differences = np.random.default_rng(2).normal(0.03, 0.2, 150)
    theirs = stats.permutation_test(
        (differences,),
        lambda x, axis: x.mean(axis=axis),
        permutation_type="samples",
        n_resamples=20_000,
        rng=3,
    )
    assert randomisation_test(differences, resamples=20_000) == pytest.approx(
        theirs.pvalue, abs=0.01
    )


def test_t_test_equals_scipy():
    first, second = np.random.default_rng(4).random((2, 7, 30))
    np.testing.assert_allclose(
        t_test(first - second), stats.ttest_rel(first, second, axis=1).pvalue
    )


@pytest.mark.parametrize("method", ["holm", "bh"])
def test_corrections_never_lower_and_keep_untested(method):
    p = np.array([[0.01, np.nan], [0.04, 0.02]])
    corrected = correct(p, method)
    assert np.isnan(corrected[0, 1])
    assert (corrected[~np.isnan(p)] >= p[~np.isnan(p)]).all()
    expected = {"holm": [0.03, 0.04, 0.04], "bh": [0.03, 0.04, 0.03]}[method]
    np.testing.assert_allclose(corrected[~np.isnan(p)], expected)


@pytest.mark.parametrize(("method", "theirs"), [("holm", "holm"), ("bh", "fdr_bh")])
def test_corrections_equal_statsmodels(method, theirs):
    p = np.random.default_rng(5).random(40) ** 3
    p[7] = p[8]
    np.testing.assert_allclose(correct(p, method), multipletests(p, method=theirs)[1], rtol=1e-12)


def test_equal_models_are_never_told_apart():
    same = np.zeros((2, 30))
    for test in TESTS.values():
        np.testing.assert_array_equal(test(same), [1.0, 1.0])
    np.testing.assert_array_equal(effect_size(same), [0.0, 0.0])


def test_the_shape_follows_the_input():
    differences = np.random.default_rng(6).normal(size=(2, 3, 20))
    assert bootstrap_test(differences, resamples=100).shape == (2, 3)
    assert randomisation_test(differences[0, 0], resamples=100).shape == ()


def test_one_seed_gives_one_answer():
    differences = np.random.default_rng(7).normal(0.02, 0.2, 60)
    for test in (randomisation_test, bootstrap_test):
        assert test(differences, seed=1, resamples=500) == test(differences, seed=1, resamples=500)


def test_effect_size_is_cohens_d_of_the_differences():
    differences = np.array([1.0, 2.0, 3.0])
    assert effect_size(differences) == pytest.approx(2.0)
    assert effect_size(np.array([0.5, 0.5])) == np.inf


def test_rounding_counts_as_a_tie():
    assert win_tie_loss([0.1, 1e-17, 0.0, -0.2, 0.3]) == (2, 2, 1)


def test_bad_input_is_one_clear_error():
    with pytest.raises(LeaderboardError, match="at least two queries"):
        t_test([0.1])
    with pytest.raises(LeaderboardError, match="not numbers"):
        t_test([0.1, np.nan])
    with pytest.raises(LeaderboardError, match="Unknown correction 'bonferoni'") as caught:
        correct([0.1], "bonferoni")
    assert "holm" in caught.value.hint


@pytest.mark.parametrize("name", TESTS)
@pytest.mark.parametrize("scores", [(0.6, 0.5), (1.0, 0.0), (0.9999, 0.9998), (1.0, 1 / 3)])
def test_a_difference_that_is_the_same_on_every_query_is_no_chance(name, scores):
    """What 0.6 - 0.5 leaves after its own mean is rounding, not spread."""
    first, second = (np.full(50, score) for score in scores)
    least = {"t": 0.0}.get(name, 1 / 10_001)
    assert TESTS[name](first - second) == pytest.approx(least, abs=1e-12)
    assert TESTS[name](np.stack([first - second, second - first])) == pytest.approx(
        least, abs=1e-12
    )
    assert np.isinf(effect_size(first - second))


@pytest.mark.parametrize("name", TESTS)
def test_rounding_is_no_difference(name):
    """Equal scores that were summed in another order: 1e-17 apart, more often up than down."""
    rounding = np.random.default_rng(0).choice([1.1e-16, 0.0, -1.1e-16], 60, p=[0.7, 0.2, 0.1])
    assert TESTS[name](rounding) == 1.0
    assert effect_size(rounding) == 0.0
    assert win_tie_loss(rounding) == (0, 60, 0)


@pytest.mark.parametrize(("effect", "queries"), [(0.2, 199), (0.5, 34), (-0.5, 34), (0.8, 15)])
def test_how_many_queries_show_a_difference(effect, queries):
    """The sample sizes of G*Power (Faul et al. 2007) for a paired t-test, two-sided, power 0.8."""
    assert needed(effect) == queries


def test_no_number_of_queries_shows_no_difference():
    assert needed(0.0) is None and needed(float("inf")) == 2
    assert needed(0.001) > 7_000_000
