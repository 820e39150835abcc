"""A ranking put in another order is the ranking made in that order."""

import pytest

from leaderboard.storage.store import Store
from leaderboard.tables.standings import in_order, rank
from tests.app import sample


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return sample.fill(tmp_path_factory.mktemp("order") / "results.duckdb")


@pytest.mark.parametrize("sort", ["mean", "types", "borda"])
@pytest.mark.parametrize("incomplete", [False, True])
def test_in_order(store: Store, sort, incomplete):
    by_mean, wanted = (
        rank(store, sort=each, incomplete=incomplete, over="none") for each in ("mean", sort)
    )
    assert in_order(by_mean, sort).rows == wanted.rows
    assert not incomplete or sort == "types" or len({row.place for row in wanted.rows}) > 5
