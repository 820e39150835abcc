"""Which run stands for a view: the deepest, on the task's own split,
on the revision that the views share.
"""

from dataclasses import replace

import duckdb
import numpy as np
import pytest

from leaderboard.errors import LeaderboardError
from leaderboard.exchange.merging import merge
from leaderboard.records import Model, PerQuery, Run, Task
from leaderboard.storage.migrations import SCHEMA
from leaderboard.storage.store import Store
from leaderboard.tables.comparison import compare
from leaderboard.tables.evaluated_views import read
from leaderboard.tables.grids import grids
from leaderboard.tables.standings import rank


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "results.duckdb")


def scored(
    model: str,
    score: float,
    *,
    task: str = "SciFact",
    revision: str = "r1",
    split: str = "test",
    **fields,
):
    """A run whose queries all score alike but for a little noise."""
    noise = np.random.default_rng(len(model)).normal(0, 0.01, 20)
    values = score + noise - noise.mean()
    kept = Task(task, "Retrieval", split, revision=revision, details={"eval_splits": ["test"]})
    per_query = PerQuery([f"q{n}" for n in range(20)], {"ndcg_at_10": values})
    return Run(
        Model(model),
        kept,
        score,
        {"ndcg_at_10": score},
        index="torch",
        per_query=per_query,
        **fields,
    )


def test_a_shallow_run_takes_no_place_of_a_deeper_one(store):
    deep = replace(scored("a", 0.6), scores={"ndcg_at_10": 0.6, "recall_at_100": 0.9})
    deepest = scored("a", 0.61, depth=2000)
    for run in (deep, scored("a", 0.5, depth=20), scored("a", 0.55, depth=50), deepest):
        store.add(run)
    assert [row.mean for row in rank(store).rows] == [0.6], (
        "the task's own depth goes before any other"
    )
    assert [row.mean for row in rank(store, metric="R@100").rows] == [0.9]
    for run in (deep, deepest):
        store.remove(run.id)
    assert [row.mean for row in rank(store).rows] == [0.55], (
        "where there are shallow ones alone, the deepest"
    )
    store.add(newer := scored("a", 0.56, depth=50))
    assert [row.mean for row in rank(store).rows] == [0.56] and store.run(newer.id).depth == 50


def test_runs_that_were_computed_otherwise_are_views_of_their_own(store):
    for score, settings in ((0.6, {"dtype": "float32"}), (0.59, {"dtype": "bfloat16"}),
                            (0.58, {"dtype": "bfloat16", "store_dtype": "float16"})):  # fmt: skip
        store.add(scored("a", score, settings=settings))
    store.add(scored("b", 0.5, settings={"dtype": "float32"}))
    labels = {row.label: row.mean for row in rank(store).rows}
    assert labels == {
        "a@dtype=float32": 0.6,
        "a@dtype=bfloat16": 0.59,
        "a@dtype=bfloat16,store_dtype=float16": 0.58,
        "b": 0.5,
    }
    views = read(store)
    assert views.select(["a@dtype=float32"]).scores["SciFact"].tolist() == [0.6]
    assert views.select(["a@store_dtype=float16,index=torch"]).scores["SciFact"].tolist() == [0.58]
    with pytest.raises(LeaderboardError, match="stands for 3 views"):
        views.select(["a"])
    assert compare(store, ["a@dtype=float32", "b"]).pairs[0].difference == pytest.approx(0.1)


def test_another_split_is_asked_for_by_name(store):
    for model, score in (("a", 0.6), ("b", 0.5)):
        store.add(scored(model, score))
    store.add(scored("b", 0.9, split="dev"))
    standings = rank(store)
    assert [(row.model, row.mean) for row in standings.rows] == [("a", 0.6), ("b", 0.5)]
    assert standings.notes == [
        "Runs on other splits than a task's own do not count: SciFact (dev)."
    ]
    assert [(row.model, row.mean) for row in rank(store, split="dev").rows] == [("b", 0.9)]
    with pytest.raises(LeaderboardError, match="no run on the split 'train'") as caught:
        rank(store, split="train")
    assert "dev, test" in caught.value.hint
    store.add(scored("c", 0.7, task="Other", split="dev"))
    assert rank(store, ["Other"]).rows[0].mean == 0.7, (
        "where there is no run on its own split, what there is"
    )


def test_views_count_on_the_revision_that_they_share(store):
    """Model a was evaluated again after the data had changed;
    its older run compares with b's, its newer one not.
    """
    for run in (scored("a", 0.6), scored("b", 0.5), scored("a", 0.9, revision="r2")):
        store.add(run)
    standings = rank(store)
    assert [(row.model, row.mean) for row in standings.rows] == [("a", 0.6), ("b", 0.5)]
    assert standings.notes == [] and standings.over == "queries"
    store.add(scored("b", 0.8, revision="r2"))
    assert [row.mean for row in rank(store).rows] == [
        0.9,
        0.8,
    ], "both have both: the newer revision"


def test_all_parts_of_a_score_are_of_one_revision(store):
    """A mean over subsets of two revisions is a score on no data set that there is."""

    def of(subset: str, revision: str, score: float) -> Run:
        return Run(Model("a"), Task("Many", "Retrieval", "test", subset, revision), score, {})

    for run in (of("de", "r1", 0.1), of("fr", "r1", 0.3), of("de", "r2", 0.9)):
        # r2 is newer, but lacks a part.
        store.add(run)
    (row,) = rank(store).rows
    assert row.mean == pytest.approx(0.2)
    store.add(of("es", "r2", 0.8))
    assert [row.mean for row in rank(store).rows] == [None], "each revision lacks a part"
    store.add(of("fr", "r2", 0.7))
    (row,) = rank(store).rows
    assert row.mean == pytest.approx(0.8)


def test_a_view_whose_parts_are_of_two_revisions_lacks_one(store):
    for model, revision, subset in (
        ("a", "r1", "de"),
        ("a", "r1", "fr"),
        ("b", "r1", "de"),
        ("b", "r2", "fr"),
    ):
        store.add(Run(Model(model), Task("Many", "Retrieval", "test", subset, revision), 0.5, {}))
    standings = rank(store)
    assert [(row.model, row.mean) for row in standings.rows] == [("a", 0.5), ("b", None)]


def test_scores_on_different_revisions_are_said_and_not_tested(store):
    for run in (scored("a", 0.6), scored("b", 0.5, revision="r2")):
        store.add(run)
    standings = rank(store)
    assert (
        "The views were scored on different revisions of SciFact: their data may differ."
        in standings.notes
    )
    assert standings.over == "" and all(
        row.low is None and row.group == "" for row in standings.rows
    )
    with pytest.raises(LeaderboardError, match="different revisions of SciFact"):
        compare(store, ["a", "b"])
    for layer, revision in ((2, "r1"), (4, "r2")):
        store.add(scored("deep", 0.5, task="Other", revision=revision, layer=layer, dim=64))
    (grid,) = grids(store, "deep", ["Other"])
    assert grid.notes == [
        "The views were scored on different revisions of Other: their data may differ."
    ]


def test_an_older_store_keeps_what_is_right_of_it(tmp_path):
    with duckdb.connect(str(tmp_path / "old.duckdb")) as old:
        for number in (1, 2):
            old.execute((SCHEMA / f"{number}.sql").read_text())
        old.execute("UPDATE meta SET schema_version = 2")
        old.execute("INSERT INTO models VALUES ('a', '', 'dense', '{}')")
        old.execute(
            "INSERT INTO tasks VALUES ('SciFact', '', 'test', 'default', 'Retrieval', 'ndcg_at_10',"
            " '{}')"
        )
        for id, asked in (("deep", "{}"), ("shallow", '{"top_k": 20, "store_dtype": "float16"}')):
            resolved = '{"dtype": "bfloat16"}'
            old.execute(
                "INSERT INTO runs VALUES (?, 'a', '', 'SciFact', '', 'test', 'default', 'torch',"
                " NULL, 64, 'float32', 0.5, ?, ?, '{}', '', false, '2026-01-01')",
                [id, asked, resolved],
            )
            for metric in ("ndcg_at_10", "recall_at_100", "nauc_recall_at_100_max"):
                old.execute("INSERT INTO scores VALUES (?, ?, 0.5)", [id, metric])
                old.execute("INSERT INTO per_query VALUES (?, 'q', ?, 0.5)", [id, metric])
    store = Store(tmp_path / "old.duckdb")
    deep, shallow = store.run("deep"), store.run("shallow")
    assert (deep.depth, shallow.depth) == (None, 20)
    assert (deep.settings, shallow.settings) == (
        {"dtype": "bfloat16"},
        {"dtype": "bfloat16", "store_dtype": "float16"},
    )
    assert list(deep.scores) == ["ndcg_at_10", "recall_at_100", "nauc_recall_at_100_max"]
    assert list(shallow.scores) == list(shallow.per_query.metrics) == ["ndcg_at_10"]
    into = Store(tmp_path / "new" / "results.duckdb")
    merge(into, store.path)
    assert (into.run("shallow").depth, into.run("shallow").settings) == (20, shallow.settings)
    assert list(into.run("shallow").scores) == ["ndcg_at_10"]
