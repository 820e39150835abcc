"""Planned comparisons: chosen pairs, means of several views, all tasks together."""

import numpy as np
import pytest
from scipy import stats

from leaderboard.errors import LeaderboardError
from leaderboard.records import Model, PerQuery, Run, Task
from leaderboard.storage.store import Store
from leaderboard.tables.comparison import compare

RNG = np.random.default_rng(0)
TASKS = ("SciFact", "NFCorpus")
MODELS = ("seed1", "seed2", "control1", "control2")
SCORES = {(model, task): RNG.random(60) for model in MODELS for task in TASKS}


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "results.duckdb")
    for (model, task), values in SCORES.items():
        store.add(run(model, task, values))
    return store


def run(model, task, values):
    queries = PerQuery([f"q{n}" for n in range(len(values))], {"ndcg_at_10": values})
    mean = float(values.mean())
    return Run(Model(model), Task(task, "Retrieval"), mean, {"ndcg_at_10": mean}, per_query=queries)


def test_only_the_pairs_that_were_planned_are_tested_and_corrected(store):
    names = ["seed1", "control1", "seed2", "control1"]
    found = compare(store, names, ["SciFact"], test="t", planned=True)
    assert [(pair.first, pair.second) for pair in found.pairs] == [
        ("seed1", "control1"),
        ("seed2", "control1"),
    ]
    p = [
        stats.ttest_rel(SCORES[a, "SciFact"], SCORES["control1", "SciFact"]).pvalue
        for a in ("seed1", "seed2")
    ]
    assert [pair.p for pair in found.pairs] == pytest.approx(p)
    low, high = sorted(p)
    holm = {low: min(1, 2 * low), high: max(min(1, 2 * low), high)}
    assert [pair.corrected_p for pair in found.pairs] == pytest.approx([holm[each] for each in p])


def test_a_mean_of_views_is_taken_query_by_query(store):
    names = ["seed1 + seed2", "control1 + control2"]
    (pair,) = compare(store, names, ["SciFact"], test="t").pairs
    first = (SCORES["seed1", "SciFact"] + SCORES["seed2", "SciFact"]) / 2
    second = (SCORES["control1", "SciFact"] + SCORES["control2", "SciFact"]) / 2
    assert (pair.first, pair.second) == tuple(names)
    assert pair.difference == pytest.approx((first - second).mean())
    assert pair.p == pytest.approx(stats.ttest_rel(first, second).pvalue)
    assert (pair.first_score, pair.second_score) == pytest.approx((first.mean(), second.mean()))


def test_all_tasks_together_add_up_their_squared_errors(store):
    """Welch and Satterthwaite by hand."""
    (found,) = compare(store, ["seed1", "control1"]).overall
    differences = [SCORES["seed1", task] - SCORES["control1", task] for task in TASKS]
    mean = np.mean([each.mean() for each in differences])
    errors = np.array([each.var(ddof=1) / 60 / 4 for each in differences])
    freedom = errors.sum() ** 2 / (errors**2 / 59).sum()
    p = 2 * stats.t.sf(abs(mean) / np.sqrt(errors.sum()), freedom)
    assert (found.tasks, found.over) == (2, "queries")
    assert found.difference == pytest.approx(mean) and found.p == pytest.approx(p)
    assert found.low < mean < found.high
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.sqrt(errors.sum()), rel=0.05)


def test_without_queries_six_tasks_are_resampled_and_fewer_are_not(store):
    def score(model, number, value):
        named = Task(f"STS{number}", "STS", main_metric="cosine_spearman")
        store.add(Run(Model(model), named, value, {"cosine_spearman": value}))

    for number in range(6):
        score("seed1", number, 0.5 + 0.01 * number)
        score("control1", number, 0.4)
    names = [f"STS{number}" for number in range(6)]
    (six,) = compare(store, ["seed1", "control1"], names).overall
    assert six.over == "tasks" and six.p == pytest.approx(2 / 2**6)
    assert six.low < six.difference < six.high
    (five,) = compare(store, ["seed1", "control1"], names[:5]).overall
    assert (five.over, five.p, five.low) == ("", None, None)
    (mixed,) = compare(store, ["seed1", "control1"], ["SciFact", "STS0"]).overall
    assert (mixed.over, mixed.p) == ("", None)


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["seed1", "control1", "seed2"], "even number"),
        (["seed1", "seed1"], "share a view"),
        (["seed1 + seed2", "seed2"], "share a view"),
    ],
)
def test_pairs_that_are_none_are_refused(store, names, problem):
    with pytest.raises(LeaderboardError, match=problem):
        compare(store, names, planned=True)


def test_a_name_with_a_plus_of_its_own_is_one_view(store):
    named = {"lucene + reader": "seed1", "lucene": "seed2", "reader": "control1"}
    for name, model in named.items():
        store.add(run(name, "questions", SCORES[model, "SciFact"]))
    (pair,) = compare(store, ["lucene + reader", "reader"], ["questions"], test="t").pairs
    expected = (SCORES["seed1", "SciFact"] - SCORES["control1", "SciFact"]).mean()
    assert (pair.first, pair.second) == ("lucene + reader", "reader")
    assert pair.difference == pytest.approx(expected)
    names = ["lucene + reader + lucene", "reader"]
    (pair,) = compare(store, names, ["questions"], test="t").pairs
    both = (SCORES["seed1", "SciFact"] + SCORES["seed2", "SciFact"]) / 2
    assert pair.difference == pytest.approx((both - SCORES["control1", "SciFact"]).mean())
