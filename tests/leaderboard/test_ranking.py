import numpy as np
import pandas as pd
import pytest

from leaderboard.statistics.aggregation import (
    borda,
    mean_over_tasks,
    mean_over_types,
    pareto,
    zero_shot,
)

SCORES = pd.DataFrame(
    {"SciFact": [0.9, 0.5, 0.5], "NFCorpus": [0.2, 0.4, 0.3], "STS12": [0.8, 0.9, np.nan]},
    index=["a", "b", "c"],
)
TYPES = {"SciFact": "Retrieval", "NFCorpus": "Retrieval", "STS12": "STS"}


def test_means_do_not_mix_task_sets():
    np.testing.assert_allclose(mean_over_tasks(SCORES), [1.9 / 3, 0.6, np.nan])
    np.testing.assert_allclose(
        mean_over_types(SCORES, TYPES), [(0.55 + 0.8) / 2, (0.45 + 0.9) / 2, np.nan]
    )


def test_borda_counts_places():
    # SciFact gives 2, 0.5, 0.5; NFCorpus 0, 2, 1; STS12 1, 2, nothing: 3, 4.5 and 1.5.
    assert borda(SCORES).to_dict() == {"a": 2, "b": 1, "c": 3}


def test_a_model_without_scores_takes_no_part():
    scores = pd.concat([SCORES, pd.DataFrame(np.nan, index=["d"], columns=SCORES.columns)])
    assert borda(scores)[:3].tolist() == borda(SCORES).tolist()
    assert pd.isna(borda(scores)["d"])


def test_zero_shot_share():
    tasks = ["SciFact", "NFCorpus", "STS12"]
    assert zero_shot([], tasks) == 100
    assert zero_shot(["SciFact", "MSMARCO"], tasks) == 66
    assert zero_shot(None, tasks) is None, "nobody has said is not the same as no training"


def test_pareto_front():
    scores, seconds = [0.9, 0.8, 0.8, 0.7, np.nan], [10, 5, 6, 5, 1]
    assert pareto(scores, seconds).tolist() == [True, True, False, False, False]
    assert pareto(scores, seconds, lower_is_better=False).tolist() == [
        True,
        False,
        False,
        False,
        False,
    ]


def test_equal_points_are_both_on_the_front():
    assert pareto([0.5, 0.5], [1, 1]).all()


@pytest.mark.parametrize("seed", range(5))
def test_every_point_off_the_front_is_beaten_by_one_on_it(seed):
    scores, costs = np.random.default_rng(seed).integers(0, 6, (2, 30))
    front = pareto(scores, costs)
    assert front.any()
    for score, cost in zip(scores[~front], costs[~front], strict=True):
        assert ((scores[front] >= score) & (costs[front] <= cost)).any()
