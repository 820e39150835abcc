"""A served sample store and tabs on it. Skipped where there is no Chromium."""

from pathlib import Path

import pytest

from tests.app import sample
from tests.browser.tab import CHROMIUM, Tab, chromium_browser, served


def pytest_collection_modifyitems(items):
    if not CHROMIUM.exists():
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(
                    pytest.mark.skip(reason=f"needs {CHROMIUM}: apt-get install chromium")
                )


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """Address and store of a served sample; the server runs in a folder of its own."""
    folder = tmp_path_factory.mktemp("site")
    store = sample.fill(folder / "results.duckdb")
    sample.build_indexes(folder / "indexes")
    with served(folder, db=store.path, indexes=folder / "indexes") as (address, _):
        yield address, store


# Its event loop must be gone before the next module's tests start theirs.
@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import expect

    expect.set_options(timeout=30_000)
    with chromium_browser() as browser:
        yield browser


@pytest.fixture
def tab(chromium, site):
    """A fresh tab; the test fails if anything went wrong in it."""
    opened = Tab(chromium, site[0])
    yield opened
    opened.context.close()
    assert opened.problems == []


@pytest.fixture
def another_tab(chromium, site):
    """A function that opens a tab with other settings of the browser."""
    opened = []

    def open_tab(**options) -> Tab:
        opened.append(Tab(chromium, site[0], **options))
        return opened[-1]

    yield open_tab
    for other in opened:
        other.context.close()
        assert other.problems == []
