"""The store on its own: what goes in comes out, and every way in which the file can be unusable."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import pytest

from leaderboard.errors import LeaderboardError
from leaderboard.records import Answer, Failure, Model, PerQuery, Ranking, Task, Texts
from leaderboard.storage import migrations
from leaderboard.storage.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results.duckdb", timeout=2)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_run_comes_back_as_it_went_in(store, make_run):
    run = make_run(1, layer=6, precision="int8", created=datetime(2026, 5, 1, 12, 30, tzinfo=UTC))
    assert store.add(run) == run.id
    found = store.run(run.id[:6])
    for name in (
        "id",
        "model",
        "task",
        "main_score",
        "scores",
        "index",
        "layer",
        "dim",
        "precision",
        "costs",
        "asked",
        "resolved",
        "environment",
        "phases",
        "source",
        "created",
    ):
        assert getattr(found, name) == getattr(run, name), name
    assert found.per_query.query_ids == run.per_query.query_ids
    for name, values in run.per_query.metrics.items():
        np.testing.assert_array_equal(found.per_query.metrics[name], values)


def test_a_ranking_and_texts_come_back(store, make_run):
    run = make_run(1)
    store.add(run)
    ranking = store.ranking(run.id)
    assert ranking.query_ids == run.ranking.query_ids
    ids = np.array([*run.ranking.document_ids, ""])
    np.testing.assert_array_equal(
        np.array([*ranking.document_ids, ""])[ranking.rows], ids[run.ranking.rows]
    )
    np.testing.assert_array_equal(ranking.scores, run.ranking.scores)
    part = store.ranking(run.id, ["q4", "q1"])
    assert part.query_ids == ["q1", "q4"]
    np.testing.assert_array_equal(part.scores, run.ranking.scores[[1, 4]])
    assert store.texts(run.task) == run.texts
    assert store.texts(Task("other", "STS")) is None
    assert store.ranking("absent") is None


def test_texts_of_a_task_grow_with_its_runs(store, make_run):
    for seed in (1, 2, 2):
        store.add(make_run(seed))
    texts = store.texts(make_run(1).task)
    assert texts == Texts({"q0": "is it so?"}, {"q0": {"d1": 1}}, {"d1": "text 1", "d2": "text 2"})


def test_right_answers_come_back_and_are_there_once(store, make_run):
    run, right = make_run(1), {"q0": ["so", "yes"], "q1": [], "q2": [""]}
    texts = Texts(dict.fromkeys(right, "?"), {}, {}, right)
    for _ in range(2):
        store.files.add_texts(run.task, texts)
    assert store.texts(run.task) == texts


def test_answers_are_kept_one_by_one_and_go_with_their_last_run(store, make_run):
    first = Answer(
        "p",
        "why?",
        ["d1", "d2"],
        [2.5, 1.0],
        "because",
        {"retrieve_seconds": 0.5, "prompt_tokens": 7},
    )
    for answer in (
        first,
        replace(first, answer="again"),
        Answer("p", "who?", [], []),
        replace(first, pipeline="q"),
    ):
        store.add_answer(answer)
    assert store.answers("p") == {
        "why?": first,
        "who?": replace(
            first,
            question="who?",
            documents=[],
            scores=[],
            answer=None,
            costs={},
            created=store.answers("p")["who?"].created,
        ),
    }
    assert store.answers("absent") == {}
    runs = [make_run(n, resolved={"pipeline": "p"} if n < 3 else {}) for n in (1, 2, 3)]
    for run in runs:
        store.add(run)
    for run, left in zip(runs[::-1], (2, 2, 0), strict=True):
        store.remove(run.id)
        assert len(store.answers("p")) == left
    assert len(store.answers("q")) == 1


def test_a_metric_that_some_queries_lack(store, make_run):
    values = {"f1": np.array([0.5, np.nan, 1.0]), "recall": np.array([np.nan, 0.2, np.nan])}
    run = make_run(1, per_query=PerQuery(["a", "b", "c"], values), ranking=None)
    found = store.run(store.add(run)).per_query
    order = [found.query_ids.index(query) for query in "abc"]
    for name, wanted in values.items():
        np.testing.assert_array_equal(found.metrics[name][order], wanted)
    assert store.per_query([run.id], "f1")["query_id"].to_pylist() == ["a", "c"]


def test_adding_the_same_run_again_changes_nothing(store, make_run):
    run = make_run(1)
    store.add(run)
    before = store.stamp()
    store.add(run)
    assert store.runs().num_rows == 1
    assert store.query("SELECT count(*) AS n FROM per_query")["n"].to_pylist() == [10]
    store.add(make_run(2))
    assert store.stamp() != before


def test_numbers_that_json_lacks_are_stored(store, make_run):
    asked = {
        "rate": float("nan"),
        "array": np.arange(2),
        "scalar": np.float32(0.5),
        "path": Path("a/b"),
    }
    scores = {"ndcg_at_10": 0.5, "nauc_ndcg_at_10_max": float("nan")}
    run = make_run(1, scores=scores, asked=asked, ranking=None, per_query=None, texts=None)
    found = store.run(store.add(run))
    assert found.scores == {"ndcg_at_10": 0.5}  # a score that is no number is none
    assert found.asked == {"rate": None, "array": [0, 1], "scalar": 0.5, "path": "a/b"}
    assert found.per_query is None


def test_runs_and_scores_are_filtered(store, make_run):
    hostile = "'; DROP TABLE runs; --"
    store.add(make_run(1))
    store.add(make_run(2, model=Model(hostile, kind="sparse"), layer=3))
    assert store.runs(model=hostile)["layer"].to_pylist() == [3]
    assert store.runs(kind=["sparse", "lexical"], layer=[3, 4]).num_rows == 1
    assert store.runs(layer=None)["model"].to_pylist() == ["org/model"]
    main = store.scores(type="Retrieval")
    assert sorted(main["value"].to_pylist()) == sorted(store.runs()["main_score"].to_pylist())
    assert set(main["metric"].to_pylist()) == {"ndcg_at_10"}
    recall = store.scores("recall_at_100", model="org/model")
    assert recall["value"].to_pylist() == [make_run(1).scores["recall_at_100"]]
    with pytest.raises(LeaderboardError, match="'colour'") as caught:
        store.runs(colour="red")
    assert "precision" in caught.value.hint


def test_per_query_scores_of_several_runs(store, make_run):
    runs = [make_run(1), make_run(2)]
    for run in runs:
        store.add(run)
    table = store.per_query([run.id for run in runs], "ndcg_at_10").to_pylist()
    found = {(row["run_id"], row["query_id"]): row["value"] for row in table}
    assert found == {
        (run.id, query): value
        for run in runs
        for query, value in zip(
            run.per_query.query_ids, run.per_query.metrics["ndcg_at_10"], strict=True
        )
    }


def test_removing_a_run_takes_its_rows_and_its_ranking(store, make_run):
    kept, gone = make_run(1), make_run(2)
    store.add(kept)
    store.add(gone)
    assert store.remove(gone.id[:8]) == gone.id
    for table in ("scores", "per_query", "phases", "costs"):
        assert store.query(f"SELECT DISTINCT run_id FROM {table}")["run_id"].to_pylist() == [
            kept.id
        ]
    assert [path.stem for path in (store.path.parent / "results.files/rankings").iterdir()] == [
        kept.id
    ]


def test_ids_that_name_no_run_or_several(store, make_run):
    store.add(make_run(1, id="abc1"))
    store.add(make_run(2, id="abc2"))
    with pytest.raises(LeaderboardError, match="No run") as caught:
        store.run("xyz")
    assert "runs list" in caught.value.hint
    with pytest.raises(LeaderboardError, match="several runs") as caught:
        store.run("abc")
    assert "abc1, abc2" in caught.value.hint
    assert store.run("abc2").id == "abc2"
    with pytest.raises(LeaderboardError, match="cannot be a run's id"):
        store.add(make_run(3, id="../../escape"))


def test_failures_are_kept(store):
    store.add_failure(Failure("m", "t", "out of memory", "Type less.", {"batch": 8}))
    (row,) = store.failures().to_pylist()
    assert (row["problem"], row["hint"], row["asked"]) == (
        "out of memory",
        "Type less.",
        '{"batch": 8}',
    )


def test_an_absent_store_is_empty_and_is_not_made_by_reading(store):
    assert store.runs().num_rows == store.failures().num_rows == store.scores().num_rows == 0
    assert store.stamp() == (0, 0)
    assert not store.path.exists()


def test_prune_deletes_what_has_no_row(store, make_run):
    run = make_run(1)
    store.add(run)
    orphan = store.files.ranking_path("orphan")
    shutil.copy(store.files.ranking_path(run.id), orphan)
    fresh = store.files.write_ranking("unfinished", run.ranking)
    assert store.prune() == [orphan]
    assert fresh.exists()
    assert store.prune(max_age=0) == [fresh]
    assert store.ranking(run.id) is not None


def test_a_ranking_without_any_hit(store, make_run):
    empty = Ranking(
        ["q0"], ["d0"], np.full((1, 2), -1, np.int32), np.full((1, 2), -np.inf, np.float32)
    )
    ranking = store.ranking(store.add(make_run(1, ranking=empty)))
    assert ranking.rows.tolist() == [[-1, -1]]


def test_a_newer_schema_is_refused_untouched(store, make_run):
    store.add(make_run(1))
    with duckdb.connect(str(store.path)) as connection:
        connection.execute("UPDATE meta SET schema_version = 99")
    before = _digest(store.path)
    for action in (store.runs, lambda: store.add(make_run(2))):
        with pytest.raises(LeaderboardError, match="newer embedlab") as caught:
            action()
        assert "pip install --upgrade" in caught.value.hint
    assert _digest(store.path) == before


def test_an_older_schema_is_brought_up_to_date(store, make_run, tmp_path, monkeypatch):
    run = make_run(1)
    store.add(run)
    newer = tmp_path / "schema"
    shutil.copytree(migrations.SCHEMA, newer)
    number = migrations.schema_version() + 1
    (newer / f"{number}.sql").write_text("ALTER TABLE runs ADD COLUMN note VARCHAR DEFAULT 'none';")
    monkeypatch.setattr(migrations, "SCHEMA", newer)
    before = store.path.read_bytes()
    for _ in range(2):
        # Read from a copy that is brought up to date; the store itself stays as it is.
        assert store.query("SELECT note FROM runs")["note"].to_pylist() == ["none"]
        assert store.query("SELECT schema_version AS v FROM meta")["v"].to_pylist() == [number]
    assert store.path.read_bytes() == before
    store.add(make_run(2))  # the first write brings it up to date
    with duckdb.connect(str(store.path), read_only=True) as connection:
        assert connection.execute("SELECT schema_version FROM meta").fetchall() == [(number,)]
    assert store.query("SELECT note FROM runs")["note"].to_pylist() == ["none", "none"]
    (newer / f"{number + 1}.sql").write_text(
        "ALTER TABLE runs ADD COLUMN more VARCHAR; SELECT no_such_column FROM runs;"
    )
    with pytest.raises(duckdb.Error):
        store.runs()
    with duckdb.connect(str(store.path), read_only=True) as connection:
        assert connection.execute("SELECT schema_version FROM meta").fetchall() == [(number,)]
        assert "more" not in connection.execute("SELECT * FROM runs").fetchdf().columns


def test_an_older_store_is_read_where_nothing_can_be_written(
    store, make_run, tmp_path, monkeypatch
):
    store.add(make_run(1))
    Path(f"{store.path}.lock").unlink()
    newer = tmp_path / "schema"
    shutil.copytree(migrations.SCHEMA, newer)
    (newer / f"{migrations.schema_version() + 1}.sql").write_text(
        "ALTER TABLE runs ADD COLUMN note VARCHAR DEFAULT 'x';"
    )
    monkeypatch.setattr(migrations, "SCHEMA", newer)
    there = sorted(store.path.parent.iterdir())
    assert Store(store.path).query("SELECT note FROM runs")["note"].to_pylist() == ["x"]
    assert sorted(store.path.parent.iterdir()) == there  # no lock either


@pytest.mark.parametrize("content", [b"", b"no database" * 1000])
def test_a_file_that_is_no_database_is_refused_untouched(store, make_run, content):
    store.path.write_bytes(content)
    for action in (store.runs, lambda: store.add(make_run(1))):
        with pytest.raises(LeaderboardError, match="no results store"):
            action()
    assert store.path.read_bytes() == content


def test_a_damaged_store_is_refused(store, make_run):
    store.add(make_run(1))
    content = bytearray(store.path.read_bytes())
    content[12288:20000] = bytes(20000 - 12288)
    store.path.write_bytes(content)
    with pytest.raises(
        LeaderboardError, match="is damaged: a DuckDB file that was cut short or changed"
    ):
        store.runs()
    assert store.path.read_bytes() == content


def test_a_foreign_database_is_refused(store, make_run):
    with duckdb.connect(str(store.path)) as connection:
        connection.execute("CREATE TABLE other (x INTEGER)")
    for action in (store.runs, lambda: store.add(make_run(1))):
        with pytest.raises(LeaderboardError, match="no results store"):
            action()


@pytest.fixture
def unprivileged():
    """A folder of root's with mode 755, seen as a user who may read it only."""
    if os.geteuid() == 0:
        folder = Path(tempfile.mkdtemp())
        folder.chmod(0o755)
        yield folder, lambda: os.seteuid(65534)
        os.seteuid(0)
    else:
        folder = Path(tempfile.mkdtemp())
        yield folder, lambda: folder.chmod(0o555)
        folder.chmod(0o755)
    shutil.rmtree(folder)


def test_a_folder_without_write_permission(unprivileged, make_run):
    folder, enter = unprivileged
    store = Store(folder / "results.duckdb", timeout=2)
    store.add(make_run(1))
    before = _digest(store.path)
    (folder / "results.duckdb.lock").unlink(missing_ok=True)
    enter()
    assert store.runs().num_rows == 1
    for action in (
        lambda: store.add(make_run(2)),
        lambda: Store(folder / "new/other.duckdb").add(make_run(2)),
    ):
        with pytest.raises(LeaderboardError, match=r"cannot be written.*[Pp]ermission") as caught:
            action()
        assert "--db" in caught.value.hint
    assert _digest(store.path) == before


FULL = """
import resource, sys
sys.path.insert(0, sys.argv[2])
import numpy as np
from leaderboard.errors import LeaderboardError
from leaderboard.records import Model, PerQuery, Run, Task
from leaderboard.storage import migrations
from leaderboard.storage.store import Store
size = int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
values = np.random.default_rng(0).random(300_000)
queries = [f"query {i} {v}" for i, v in enumerate(values)]
try:
    per_query = PerQuery(queries, {"m": values})
    Store(sys.argv[1]).add(Run(Model("big"), Task("T", "STS"), 0.5, {}, per_query=per_query))
except LeaderboardError as error:
    print(error, error.hint)
"""


def test_a_full_disk_stores_nothing_and_loses_nothing(store, make_run):
    store.add(make_run(1))
    root = Path(__file__).parents[2]
    # A limit on the size of files stands for the end of the disk.
    limit = store.path.stat().st_size + 500_000
    command = [sys.executable, "-c", FULL, store.path, root, str(limit)]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert "cannot be written" in ended.stdout, (ended.stdout, ended.stderr)
    assert store.runs()["model"].to_pylist() == ["org/model"]
    store.add(make_run(2))
    assert store.runs().num_rows == 2


def test_what_was_read_is_kept_until_the_store_changes(tmp_path, make_run):
    store = Store(tmp_path / "results.duckdb")
    store.add(make_run(1))
    first = store.cached("runs", store.runs)
    assert store.cached("runs", store.runs) is first
    Store(store.path).add(make_run(2))  # another process would do the same
    assert store.cached("runs", store.runs).num_rows == 2
