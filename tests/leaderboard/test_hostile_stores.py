"""Stores that come from anybody: refused where they are not ours letter by letter,
and closed to all but themselves.
"""

import duckdb
import pytest

from leaderboard.errors import LeaderboardError
from leaderboard.storage.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results.duckdb", timeout=2)


HOSTILE = {
    "a view over another file": (
        "DROP VIEW results; CREATE VIEW results AS SELECT content FROM read_text('{secret}')"
    ),
    "a view posing as a table": (
        "DROP TABLE failures; CREATE VIEW failures AS FROM read_text('{secret}')"
    ),
    "a table beside ours": "CREATE TABLE more (x VARCHAR)",
    "a macro": "CREATE MACRO count_them(x) AS (SELECT content FROM read_text('{secret}'))",
    "a table of another name space": "CREATE SCHEMA s; CREATE TABLE s.runs AS FROM runs",
    "a table of ours without a column": "ALTER TABLE failures DROP COLUMN hint",
    "a table of ours with one more": "ALTER TABLE failures ADD COLUMN more VARCHAR",
    "a table of ours with another type": "ALTER TABLE failures ALTER problem TYPE BLOB",
    "a table of ours is missing": "DROP TABLE failures",
    "our view, changed": "DROP VIEW results; CREATE VIEW results AS SELECT * FROM runs",
}


@pytest.mark.parametrize("trick", HOSTILE)
def test_a_store_with_anything_but_our_tables_is_refused(trick, store, make_run, tmp_path):
    from leaderboard.exchange.merging import merge

    (tmp_path / "secret").write_text("the user's secret")
    store.add(make_run(1))
    with duckdb.connect(str(store.path)) as connection:
        connection.execute(HOSTILE[trick].format(secret=tmp_path / "secret"))
    mine = Store(tmp_path / "mine.duckdb")
    for action in (
        Store(store.path).runs,
        lambda: Store(store.path).add(make_run(2)),
        lambda: merge(mine, store.path),
    ):
        with pytest.raises(LeaderboardError, match="is no results store of ours"):
            action()
    assert not mine.path.exists() or b"secret" not in mine.path.read_bytes()


@pytest.mark.parametrize(
    "harm",
    ["DELETE FROM meta", "INSERT INTO meta FROM meta", "UPDATE meta SET schema_version = 0",
     "ALTER TABLE meta ALTER schema_version TYPE VARCHAR; UPDATE meta SET schema_version = 'three'",
     "CREATE OR REPLACE TABLE meta AS SELECT NULL::INTEGER AS schema_version"],
)  # fmt: skip
def test_a_store_that_does_not_say_its_version_is_none(harm, store, make_run):
    store.add(make_run(1))
    with duckdb.connect(str(store.path)) as connection:
        connection.execute(harm)
    for action in (Store(store.path).runs, lambda: Store(store.path).add(make_run(2))):
        with pytest.raises(LeaderboardError, match="no results store"):
            action()


def test_a_store_is_closed_to_everything_but_itself(store, make_run, tmp_path):
    store.add(make_run(1))
    (tmp_path / "secret").write_text("the user's secret")
    for statement in (
        f"SELECT * FROM read_text('{tmp_path / 'secret'}')",
        f"SELECT * FROM '{tmp_path / 'secret'}'",
        f"ATTACH '{tmp_path / 'other.duckdb'}'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
    ):
        with pytest.raises((duckdb.Error, LeaderboardError)):
            store.query(statement)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "an empty file"),
        (b"SQLite format 3\0" + bytes(100), "a SQLite file"),
        (b"no database" * 99, "no results"),
    ],
)
def test_each_kind_of_foreign_file_gets_its_own_message(store, content, words):
    store.path.write_bytes(content)
    with pytest.raises(LeaderboardError, match=words):
        store.runs()
