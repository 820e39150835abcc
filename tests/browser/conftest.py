"""The dashboard as its command serves it, and a real Chromium to look at it. Skipped where there is none."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from app.settings import VARIABLE
from tests.app import sample

CHROMIUM = Path("/usr/bin/chromium")
_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Set by Streamlit on its root element; a page whose script has not yet started has neither state.
_DONE = "document.querySelector('[data-test-script-state=\"notRunning\"]')"


def pytest_collection_modifyitems(items):
    if not CHROMIUM.exists():
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=f"needs {CHROMIUM}: apt-get install chromium"))


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """Address and store of a served sample; the server runs in a folder of its own."""
    folder = tmp_path_factory.mktemp("site")
    store = sample.fill(folder / "results.duckdb")
    sample.build_indexes(folder / "indexes")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = json.dumps({"db": str(store.path), "indexes": str(folder / "indexes")})
    environment = {**os.environ, VARIABLE: settings, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "app", "--server.port", str(port), "--server.address", "127.0.0.1"]
    with subprocess.Popen(command, env=environment, cwd=folder, stderr=subprocess.DEVNULL) as server:
        address = f"http://127.0.0.1:{port}"
        _wait_until_it_answers(f"{address}/_stcore/health")
        yield address, store
        server.terminate()


@pytest.fixture(scope="module")  # its event loop must be gone before the next module's tests start theirs
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=_FLAGS)
        yield browser
        browser.close()


class Tab:
    """A browser tab on the dashboard that keeps what went wrong in it."""

    def __init__(self, chromium, address: str, **options):
        self.address = address
        self.context = chromium.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        self.page = self.context.new_page()
        self.page.set_default_timeout(30_000)
        self.problems: list[str] = []
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.problems.append(f"page error: {error}"))
        self.page.on("dialog", lambda dialog: (self.problems.append("a script of a user's text ran"), dialog.dismiss()))
        self.page.on("response", self._response)
        self.page.on("request", self._request)

    def _console(self, message) -> None:
        # Failed loads are judged by `_response`, which knows their address.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.problems.append(f"console: {message.text}")

    def _response(self, response) -> None:
        # Streamlit looks for its own endpoints below a page's address before it finds them at the root.
        if response.status >= 400 and "/_stcore/" not in response.url:
            self.problems.append(f"{response.status}: {response.url}")

    def _request(self, request) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.problems.append(f"leaves this machine: {request.url}")

    def open(self, path: str = "") -> "Tab":
        self.page.goto(f"{self.address}/{path}")
        self.page.wait_for_selector("h1")
        return self.settle()

    def settle(self) -> "Tab":
        """Wait until the page's script has ended and no exception box is shown."""
        self.page.wait_for_timeout(250)  # a click needs a moment to reach the server
        self.page.wait_for_function(_DONE)
        assert self.page.locator('[data-testid="stException"]').count() == 0
        return self

    def sees(self, *texts: str) -> None:
        """Wait until the page shows all of these; parts of it are drawn after its script has ended."""
        for text in texts:
            self.page.wait_for_function(
                "text => document.querySelector('[data-testid=stMain]').innerText.includes(text)", arg=text
            )

    def choose(self, label: str, option: str) -> None:
        """Pick an option of a select box or a multiselect."""
        field = self.page.get_by_role("combobox", name=label, exact=True)
        offered = self.page.get_by_role("option", name=option, exact=True)
        end = time.monotonic() + 30
        while not offered.is_visible():  # a redraw of the page closes a list that is open
            assert time.monotonic() < end, f"{label} does not offer {option}"
            field.click()
            field.fill(option)
            self.page.wait_for_timeout(300)
        offered.click()
        self.page.keyboard.press("Escape")
        self.settle()


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


def _wait_until_it_answers(address: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(address, timeout=1)
            return
        except (urllib.error.URLError, OSError):
            assert time.monotonic() < end, f"{address} does not answer"
            time.sleep(0.1)
