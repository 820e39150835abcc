"""Merge, export, import: what goes out comes back the same."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from leaderboard.errors import LeaderboardError
from leaderboard.exchange.exporting import export
from leaderboard.exchange.merging import merge
from leaderboard.records import Answer, Failure, Model, Task
from leaderboard.storage.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results.duckdb")


def test_merge_adds_what_is_lacking_and_nothing_twice(tmp_path, store, make_run):
    other = Store(tmp_path / "o'ther" / "other.duckdb")
    shared, own, theirs = make_run(1), make_run(2), make_run(3)
    for target, run in ((store, shared), (store, own), (other, shared), (other, theirs)):
        target.add(run)
    other.add_failure(Failure("m", "t", "out of memory", asked={"batch": 4}))
    for target in (store, other):
        target.add_answer(Answer("p", target.path.parent.name, ["d1"], [1.0], "so"))
    assert merge(store, other.path) == (1, 1, 1)
    assert merge(store, other.path) == (0, 0, 2)
    assert set(store.runs()["id"].to_pylist()) == {shared.id, own.id, theirs.id}
    assert store.query("SELECT count(*) AS n FROM scores")["n"].to_pylist() == [6]
    merged = store.run(theirs.id)
    assert merged.scores == theirs.scores and merged.phases == theirs.phases
    np.testing.assert_array_equal(store.ranking(theirs.id).scores, other.ranking(theirs.id).scores)
    assert set(store.texts(theirs.task).documents) == {"d1", "d2", "d3"}
    assert store.failures().num_rows == 1
    assert len(store.answers("p")) == 2
    assert other.runs().num_rows == 2


def test_merge_names_what_is_wrong(tmp_path, store, make_run):
    store.add(make_run(1))
    with pytest.raises(LeaderboardError, match="no file"):
        merge(store, tmp_path / "absent.duckdb")
    with pytest.raises(LeaderboardError, match="the store itself"):
        merge(store, store.path)
    (tmp_path / "bad.duckdb").write_bytes(b"no database" * 1000)
    with pytest.raises(LeaderboardError, match="is no results store"):
        merge(store, tmp_path / "bad.duckdb")
    assert store.runs().num_rows == 1


@pytest.mark.parametrize(
    ("format", "read"), [("parquet", pyarrow.parquet.read_table), ("csv", pyarrow.csv.read_csv)]
)
def test_tables_keep_every_figure(tmp_path, store, make_run, format, read):
    kept, left = make_run(1), make_run(2, model=Model("another"))
    store.add(kept)
    store.add(left)
    paths = export(store, tmp_path / "out", format, model="org/model")
    tables = {path.stem: read(path) for path in paths}
    assert tables["runs"]["id"].to_pylist() == [kept.id]
    assert (
        dict(zip(*tables["scores"].select(["metric", "value"]).to_pydict().values(), strict=True))
        == kept.scores
    )
    assert tables["per_query"].num_rows == 10
    assert tables["models"]["name"].to_pylist() == ["org/model"]


def test_mteb_loads_our_export_with_the_same_scores(tmp_path, store, make_run):
    import mteb
    from mteb.results import TaskResult

    task = Task(
        "SciFact",
        "Retrieval",
        revision="0228b52cf27578f30900b9e5271d331663a030d7",
        details={"languages": ["eng-Latn"]},
    )
    full = make_run(1, task=task)
    older = make_run(2, task=task, created=full.created.replace(year=2020))
    cut = make_run(3, task=task, dim=128, precision="int8")
    for run in (full, older, cut):
        store.add(run)
    paths = {
        path.relative_to(tmp_path).as_posix(): path for path in export(store, tmp_path, "mteb")
    }
    plain = paths["results/org__model/abc/SciFact.json"]
    view = paths["results/org__model/abc/experiments/dim_128__precision_int8/SciFact.json"]
    for path, run in ((plain, full), (view, cut)):
        result = TaskResult.from_disk(path)
        assert result.get_score() == run.main_score
        (entry,) = result.scores["test"]
        assert {name: entry[name] for name in run.scores} == run.scores
    loaded = mteb.ResultCache(tmp_path).load_results()
    (model,) = loaded.model_results
    assert (model.model_name, model.model_revision) == ("org/model", "abc")
    (result,) = model.task_results
    assert result.get_score() == full.main_score
    both = mteb.ResultCache(tmp_path).load_results(load_experiments="match_name")
    assert sorted(r.get_score() for m in both.model_results for r in m.task_results) == sorted(
        [full.main_score, cut.main_score]
    )


def test_a_result_file_holds_one_revision_and_all_its_parts(tmp_path, store, make_run):
    """In whatever order the parts came:
    the revision with the most of them, and of equals the newest.
    """
    first = make_run(1).created
    for n, (revision, subset) in enumerate(
        [("r1", "en"), ("r1", "de"), ("r2", "en"), ("r1", "fr"), ("r2", "de")]
    ):
        task = Task("Many", "Retrieval", "test", subset, revision)
        store.add(make_run(n, task=task, created=first.replace(year=2020 + n)))

    def parts() -> tuple[str, list[str]]:
        export(store, tmp_path, "mteb")
        result = json.loads((tmp_path / "results/org__model/abc/Many.json").read_text())
        return result["dataset_revision"], [
            entry["hf_subset"] for entry in result["scores"]["test"]
        ]

    assert parts() == ("r1", ["en", "de", "fr"])
    store.add(
        make_run(
            9, task=Task("Many", "Retrieval", "test", "fr", "r2"), created=first.replace(year=2030)
        )
    )
    assert parts() == ("r2", ["en", "de", "fr"])


def test_hostile_names_stay_inside_the_folder(tmp_path, store, make_run):
    store.add(make_run(1, model=Model("../../../escape", "../r"), task=Task("../../t", "STS")))
    out = tmp_path / "deep" / "er"
    for path in export(store, out, "mteb"):
        assert path.resolve().is_relative_to(out.resolve())
    assert json.loads((out / "results").glob("*/*/*.json").__next__().read_text())


def test_an_unknown_format_or_filter_is_named(tmp_path, store):
    with pytest.raises(LeaderboardError, match="Unknown format") as caught:
        export(store, tmp_path, "xml")
    assert "parquet" in caught.value.hint
    with pytest.raises(LeaderboardError, match="colour"):
        export(store, tmp_path, "csv", colour="red")


def test_a_store_without_its_folder_of_files_is_named(store, make_run, tmp_path):
    import numpy as np

    from leaderboard.records import Ranking

    ranking = Ranking(["q1"], ["d1"], np.zeros((1, 1), np.int32), np.ones((1, 1), np.float32))
    run = replace(make_run(1), ranking=ranking)
    store.add(run)
    alone = tmp_path / "alone.duckdb"
    shutil.copyfile(store.path, alone)
    before, mine = alone.read_bytes(), Store(tmp_path / "mine.duckdb")
    with pytest.raises(
        LeaderboardError, match=r"alone.duckdb lacks the rankings of 1 of its runs"
    ) as caught:
        merge(mine, alone)
    assert (
        "alone.files" in caught.value.hint
        and alone.read_bytes() == before
        and not mine.path.exists()
    )
    assert Store(alone).ranking(run.id) is None
    store.files.ranking_path(run.id).write_bytes(b"PAR1 cut")
    with pytest.raises(LeaderboardError, match="is damaged"):
        store.ranking(run.id)


def test_no_text_of_an_exported_csv_is_a_formula(store, make_run, tmp_path):
    run = make_run(1)
    store.add(replace(run, model=replace(run.model, name="=HYPERLINK(1)")))
    export(store, tmp_path / "out", "csv")
    table = pyarrow.csv.read_csv(tmp_path / "out/runs.csv")
    assert table["model"].to_pylist() == ["'=HYPERLINK(1)"] and pa.types.is_floating(
        table["main_score"].type
    )
