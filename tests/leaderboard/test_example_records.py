"""What scores were computed from, example by example, in the store and out of it."""

import duckdb
import numpy as np
import pyarrow.csv
import pytest

from leaderboard.exchange.exporting import export
from leaderboard.exchange.merging import merge
from leaderboard.records import Examples
from leaderboard.storage import migrations
from leaderboard.storage.store import Store


@pytest.fixture
def of_labels(make_run):
    """A run on four examples in two experiments."""
    examples = {"gold": [[1, 0, 1, 2]], "predicted": [[1, 0, 0, np.nan], [1, np.nan, 1, 2]]}
    series = {name: np.array(values, np.float64) for name, values in examples.items()}
    return make_run(per_query=None, ranking=None, texts=None, examples=Examples(series))


def same(first, second):
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


def test_they_come_back_merged_and_removed(tmp_path, make_run, of_labels):
    here, other = Store(tmp_path / "here.duckdb"), Store(tmp_path / "other.duckdb")
    here.add(make_run(1))
    other.add(of_labels)
    assert merge(here, other.path).runs == 1
    for store in (here, other):
        same(store.run(of_labels.id).examples.series, of_labels.examples.series)
    assert here.examples([make_run(1).id]) == {}
    here.remove(of_labels.id)
    assert here.query("SELECT * FROM examples").num_rows == 0


def test_a_csv_file_has_a_row_for_each(tmp_path, of_labels):
    store = Store(tmp_path / "results.duckdb")
    store.add(of_labels)
    export(store, tmp_path / "out", "csv")
    rows = pyarrow.csv.read_csv(tmp_path / "out" / "examples.csv").to_pylist()
    assert len(rows) == 4 + 8 and {row["run_id"] for row in rows} == {of_labels.id}
    second = [row for row in rows if row["name"] == "predicted" and row["experiment"] == 1]
    assert [row["example"] for row in second] == [0, 1, 2, 3]
    assert [row["value"] for row in second][::2] == [1.0, 1.0]


def test_a_store_from_before_has_none_and_takes_them(tmp_path, of_labels):
    store = Store(tmp_path / "results.duckdb")
    with duckdb.connect(str(store.path)) as connection:
        migrations.migrate(connection, 0, 4)
    assert store.query("SELECT schema_version AS v FROM meta")["v"].to_pylist() == [
        migrations.schema_version()
    ]
    assert store.examples([of_labels.id]) == {}
    store.add(of_labels)
    same(store.run(of_labels.id).examples.series, of_labels.examples.series)
