import pytest

from leaderboard.errors import LeaderboardError
from leaderboard.measures import requested, shown, stored


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
        ("Success@5", "hit_rate_at_5"),
        ("MRR@10", "mrr_at_10"),
        ("nauc_ndcg_at_10_max", "nauc_ndcg_at_10_max"),
        ("ERR@20", "ERR@20"),
        ("err_at_20", "ERR@20"),
        ("BPref", "Bpref"),
        ("judged@10", "Judged@10"),
        ("RBP(p=0.8)@10", "RBP@10"),  # 0.8 is its default: ir_measures leaves it out
        ("rbp(rel=1, p=0.9)", "RBP(rel=1,p=0.9)"),
        ("P(rel=2)@5", "P(rel=2)@5"),  # another measure than precision_at_5
        ("AP", "AP"),  # of the whole ranking; MTEB's ap is of classifications
        ("ap", "ap"),
        ("Accuracy", "Accuracy"),
        ("accuracy", "accuracy"),
    ],
)
def test_names_as_typed_and_as_stored(typed, kept):
    assert stored(typed) == kept


@pytest.mark.parametrize(
    "name",
    [
        "ndcg_at_10",
        "recall_at_100",
        "map_at_5",
        "mrr_at_10",
        "hit_rate_at_3",
        "accuracy",
        "nauc_map_at_10_std",
        "ERR@20",
        "Bpref",
        "RBP(p=0.9,rel=1)",
        "nDCG",
    ],
)
def test_what_is_shown_can_be_typed(name):
    assert stored(shown(name)) == name


@pytest.mark.parametrize(
    ("typed", "problem", "hint"),
    [
        ("nDGC@10", "no metric", "Did you mean nDCG@10"),
        ("presicion_at_5", "no metric", "Precision@5"),
        ("main", "no metric", "nDCG@10"),
        ("__import__('os')@3", "no metric", "nDCG@10"),
        ("ndcg@x", "a number from 1", "nDCG@10"),
        ("ndcg_at_0", "a number from 1", "nDCG@10"),
        ("P", "it needs a cutoff", "P(rel=..., judged_only=...)@cutoff"),
        ("RBP(p=x)", "is no measure", "RBP(p=..., rel=...)"),
        ("RBP(q=0.8)", r"unsupported params found: \['q'\]", "RBP(p=..., rel=...)"),
        ("RBP(p=0.8)@10", "cannot compute", "without cutoff, with rel given"),
        ("alpha_nDCG@10", "cannot compute alpha_nDCG@10", "pip install"),
        ("NumRet", "counts over all queries", "a score"),
    ],
)
def test_what_is_no_measure_is_one_clear_error(typed, problem, hint):
    with pytest.raises(LeaderboardError, match=problem) as error:
        requested(typed)
    assert hint in error.value.hint
