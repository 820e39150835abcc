"""A few seconds of clicking while four processes write;
tests/bench/test_dashboard.py does it for five minutes.
"""

from tests.app import sample
from tests.browser.clicking import click_for, writers
from tests.browser.tab import Tab, served, window


def test_clicking_while_four_processes_write(tmp_path, chromium):
    store = sample.fill(tmp_path / "results.duckdb")
    runs = store.runs().num_rows
    with served(tmp_path, db=store.path) as (address, _), writers(store.path, 4, pause=2):
        tab = Tab(window(chromium), address)
        tab.open()
        clicks = click_for(tab, seconds=3)
        tab.close()
    assert len(clicks) >= 7 and store.runs().num_rows > runs
