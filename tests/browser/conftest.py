"""A served sample store and tabs on it. Skipped where there is no Chromium."""

from pathlib import Path

import pytest

from tests.app import sample
from tests.browser.tab import CHROMIUM, Tab, chromium_browser, served, window


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
    sample.fill_rag(store)
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


@pytest.fixture(scope="module")
def screen(chromium):
    """A window as on a desk."""
    return window(chromium)


@pytest.fixture
def tab(screen, site):
    """A fresh tab; the test fails if anything went wrong in it."""
    opened = Tab(screen, site[0])
    yield opened
    opened.close()


@pytest.fixture
def another_tab(screen, site):
    """A second one."""
    opened = Tab(screen, site[0])
    yield opened
    opened.close()


@pytest.fixture
def phone(chromium, site):
    """A tab of a phone that is set to dark."""
    narrow = window(chromium, viewport={"width": 390, "height": 844}, color_scheme="dark")
    opened = Tab(narrow, site[0])
    yield opened
    opened.close()
    narrow.close()
