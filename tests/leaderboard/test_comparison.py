from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from leaderboard.errors import LeaderboardError
from leaderboard.records import Model, PerQuery, Run, Task
from leaderboard.storage.store import Store
from leaderboard.tables.alignment import align
from leaderboard.tables.comparison import compare

RNG = np.random.default_rng(0)
BASE = RNG.random(80)
SCORES = {"a": BASE + 0.1, "b": BASE + RNG.normal(0, 0.1, 80), "c": BASE + RNG.normal(0, 0.1, 80)}


def run(model: str, values: np.ndarray, task: str = "SciFact", **fields) -> Run:
    ids = [f"q{i}" for i in range(len(values))]
    # Stored order must not matter.
    order = np.random.default_rng(len(model)).permutation(len(values))
    return Run(
        Model(model),
        Task(task, "Retrieval"),
        float(values.mean()),
        {"ndcg_at_10": float(values.mean()), "recall_at_100": 1.0},
        per_query=PerQuery(
            [ids[i] for i in order],
            {"ndcg_at_10": values[order], "recall_at_100": np.ones(len(values))},
        ),
        **fields,
    )


@pytest.fixture
def store(tmp_path) -> Store:
    store = Store(tmp_path / "results.duckdb")
    for model, values in SCORES.items():
        store.add(run(model, values))
    store.add(
        Run(
            Model("a"),
            Task("STS12", "STS", main_metric="cosine_spearman"),
            0.8,
            {"cosine_spearman": 0.8},
        )
    )
    store.add(
        Run(
            Model("b"),
            Task("STS12", "STS", main_metric="cosine_spearman"),
            0.7,
            {"cosine_spearman": 0.7},
        )
    )
    return store


def test_pairs_hold_what_numpy_and_scipy_say(store):
    first, _, _ = compare(store, ["a", "b", "c"], test="t", correction="none").pairs
    differences = SCORES["a"] - SCORES["b"]
    assert (first.first, first.second, first.queries) == ("a", "b", 80)
    assert first.difference == pytest.approx(differences.mean())
    assert (
        first.p
        == first.corrected_p
        == pytest.approx(stats.ttest_rel(SCORES["a"], SCORES["b"]).pvalue)
    )
    assert first.effect_size == pytest.approx(differences.mean() / differences.std(ddof=1))
    assert (first.wins, first.ties, first.losses) == (
        (differences > 0).sum(),
        0,
        (differences < 0).sum(),
    )
    assert first.low < first.difference < first.high


def test_p_values_are_corrected_for_the_whole_answer(store):
    answer = compare(store, ["a", "b", "c"])
    raw = sorted(pair.p for pair in answer.pairs)
    corrected = sorted(pair.corrected_p for pair in answer.pairs)
    assert corrected[0] == pytest.approx(3 * raw[0])
    assert {(pair.first, pair.second): pair.corrected_p <= 0.05 for pair in answer.pairs} == {
        ("a", "b"): True,
        ("a", "c"): True,
        ("b", "c"): False,
    }
    assert answer.notes == ["1 task is left out, not evaluated with c: STS12."]


def test_tasks_without_queries_are_compared_and_not_tested(store):
    answer = compare(store, ["a", "b"], ["STS12"])
    (pair,) = answer.pairs
    assert pair.difference == pytest.approx(0.1)
    assert pair.p is None and pair.corrected_p is None
    assert answer.notes == ["1 task is without scores of single queries or examples: STS12."]


def test_any_metric_that_was_kept_can_be_compared(store):
    (pair,) = compare(store, ["a", "b"], metric="R@100").pairs
    assert (pair.metric, pair.difference, pair.p, pair.ties) == ("recall_at_100", 0.0, 1.0, 80)


def test_one_of_several_views_is_named_by_its_settings(store):
    store.add(run("d", SCORES["b"], dim=64, index="torch"))
    store.add(run("d", SCORES["c"], dim=128, index="faiss:HNSW32,efSearch=16"))
    with pytest.raises(LeaderboardError, match="d stands for 2 views") as caught:
        compare(store, ["a", "d"])
    assert "d@dim=64,index=torch" in caught.value.hint
    for name, values in (
        ("d@dim=64", SCORES["b"]),
        ("D@index=faiss:HNSW32,efSearch=16", SCORES["c"]),
    ):
        (pair,) = compare(store, ["a", name]).pairs
        assert pair.second_score == pytest.approx(values.mean())


def test_a_bare_name_is_the_model_in_full(store):
    details = {"dim": 128}
    for scores, layer, dim, precision in (
        ("a", None, 128, "float32"),
        ("b", 2, 128, "float32"),
        ("b", None, 64, "float32"),
        ("b", None, 128, "binary"),
    ):
        grid = run("g", SCORES[scores], layer=layer, dim=dim, precision=precision, index="torch")
        store.add(replace(grid, model=replace(grid.model, details=details)))
    (pair,) = compare(store, ["g", "b"]).pairs
    assert pair.first_score == pytest.approx(SCORES["a"].mean())
    other = run("g", SCORES["b"], dim=128, index="faiss:hnsw32")
    store.add(replace(other, model=replace(other.model, details=details)))
    with pytest.raises(LeaderboardError, match="g stands for 2 views") as caught:
        compare(store, ["g", "b"])
    assert "binary" not in caught.value.hint and "faiss:hnsw32" in caught.value.hint


def test_in_a_grid_alone_the_last_layer_is_the_model_in_full(store):
    details = {"dim": 128, "layers": 6}
    for scores, layer, dim in (("a", 6, 128), ("b", 2, 128), ("b", 6, 64)):
        grid = run("h", SCORES[scores], layer=layer, dim=dim, index="torch")
        store.add(replace(grid, model=replace(grid.model, details=details)))
    (pair,) = compare(store, ["h", "b"]).pairs
    assert pair.first_score == pytest.approx(SCORES["a"].mean())
    whole = run("h", SCORES["c"], layer=None, dim=128, index="torch")
    store.add(replace(whole, model=replace(whole.model, details=details)))
    (pair,) = compare(store, ["h", "b"]).pairs
    assert pair.first_score == pytest.approx(SCORES["c"].mean())


def test_unknown_names_are_one_clear_error(store):
    for name in ("aa", "a@dim=7", "a@colour=red"):
        with pytest.raises(LeaderboardError, match=f"no {name}") as caught:
            compare(store, [name, "b"])
        assert "a" in caught.value.hint
    with pytest.raises(LeaderboardError, match="two models"):
        compare(store, ["a"])
    with pytest.raises(LeaderboardError, match="one view twice"):
        compare(store, ["a", "A"])
    with pytest.raises(LeaderboardError, match="Unknown test 'wilcoxon'"):
        compare(store, ["a", "b"], test="wilcoxon")


def test_different_query_sets_are_named(store):
    store.add(run("short", SCORES["a"][:78]))
    with pytest.raises(
        LeaderboardError, match=r"different queries of SciFact: 2 only in a \(q78, q79\)"
    ):
        compare(store, ["a", "short"])


def test_alignment_is_by_id_and_not_by_place():
    ids, scores = align(
        {"x": pd.Series({"q1": 0.1, "q2": 0.2}), "y": pd.Series({"q2": 0.4, "q1": 0.3})}, "T"
    )
    assert ids == ["q1", "q2"]
    np.testing.assert_array_equal(scores, [[0.1, 0.2], [0.3, 0.4]])
    with pytest.raises(LeaderboardError, match="two scores for query 'q1'"):
        align({"x": pd.Series([0.1, 0.2], index=["q1", "q1"])}, "T")
