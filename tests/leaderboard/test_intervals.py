import numpy as np
import pytest
from scipy import stats

from leaderboard.errors import LeaderboardError
from leaderboard.statistics.intervals import interval, rank_interval, resampled_means


def test_intervals_cover_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(0)
    trials = 600
    scores = rng.beta(2, 1, (trials, 80))  # one row per trial: each its own sample of 80 queries
    low, high = interval(resampled_means([[scores]], resamples=1_000))
    assert 0.925 <= ((low <= 2 / 3) & (high >= 2 / 3)).mean() <= 0.97


def test_the_interval_agrees_with_scipy():
    scores = np.random.default_rng(1).random(100)
    theirs = stats.bootstrap(
        (scores,), np.mean, method="percentile", n_resamples=20_000, rng=2
    ).confidence_interval
    ours = interval(resampled_means([[scores[None]]], resamples=20_000))
    np.testing.assert_allclose([ours.low[0], ours.high[0]], [theirs.low, theirs.high], atol=0.002)


def test_differences_are_paired():
    first = np.random.default_rng(2).random(50)
    replicates = resampled_means([[np.stack([first, first - 0.1])]])
    low, high = interval(replicates[:, 0] - replicates[:, 1])
    assert low == pytest.approx(0.1) and high == pytest.approx(0.1)


def test_resampling_tasks_asks_a_wider_question():
    rng = np.random.default_rng(3)
    tasks = [[rng.normal(centre, 0.1, (1, 200))] for centre in rng.uniform(0.2, 0.9, 8)]
    widths = {}
    for over in ("queries", "tasks", "both"):
        low, high = interval(resampled_means(tasks, over=over))
        widths[over] = high[0] - low[0]
    assert widths["queries"] < widths["tasks"] / 5
    assert widths["tasks"] == pytest.approx(widths["both"], rel=0.1)


def test_the_mean_weighs_tasks_and_not_queries():
    tasks = [[np.ones((1, 1_000))], [np.zeros((1, 10)), np.ones((1, 20))]]
    np.testing.assert_allclose(resampled_means(tasks, resamples=5), 0.75)


def test_rank_intervals_tell_sure_ranks_from_unsure_ones():
    rng = np.random.default_rng(4)
    base = rng.random(300)
    scores = np.stack(
        [base + 0.5, base + rng.normal(0, 0.2, 300), base + rng.normal(0, 0.2, 300), base - 0.5]
    )
    low, high = rank_interval(resampled_means([[scores]]))
    assert low.tolist() == [1, 2, 2, 4]
    assert high.tolist() == [1, 3, 3, 4]


def test_ranks_are_scipys_and_equal_models_share_theirs():
    replicates = np.random.default_rng(5).random((200, 30))
    replicates[:, 7] = replicates[:, 3] + 1e-16  # the same scores, summed in another order
    ranks = stats.rankdata(-replicates.round(12), axis=1, method="min")
    low, high = rank_interval(replicates, level=0.9)
    np.testing.assert_array_equal(low, np.quantile(ranks, 0.05, axis=0, method="lower"))
    np.testing.assert_array_equal(high, np.quantile(ranks, 0.95, axis=0, method="higher"))
    assert (low[3], high[3]) == (low[7], high[7])


def test_unknown_resampling_is_named():
    with pytest.raises(LeaderboardError, match="Unknown resampling 'models'"):
        resampled_means([[np.ones((1, 3))]], over="models")
