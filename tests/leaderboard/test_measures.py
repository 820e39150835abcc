import pytest

from leaderboard.measures import shown, stored


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("nDCG@10", "ndcg_at_10"),
        ("ndcg_at_10", "ndcg_at_10"),
        ("NDCG@10", "ndcg_at_10"),
        ("R@100", "recall_at_100"),
        ("AP@100", "map_at_100"),
        ("RR@10", "mrr_at_10"),
        ("cosine_spearman", "cosine_spearman"),
        ("main", "main"),
    ],
)
def test_names_as_typed_and_as_stored(typed, kept):
    assert stored(typed) == kept


@pytest.mark.parametrize(
    "name", ["ndcg_at_10", "recall_at_100", "map_at_5", "mrr_at_10", "hit_rate_at_3", "accuracy"]
)
def test_what_is_shown_can_be_typed(name):
    assert stored(shown(name)) == name
