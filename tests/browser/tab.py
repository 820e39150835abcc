"""The dashboard as its command serves it, and a tab of a real Chromium on it."""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote_plus

from app.settings import VARIABLE
from embedlab.cli.dashboard import serving

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
# Set by Streamlit on its root element; a page whose script has not yet started has neither state.
_DONE = "document.querySelector('[data-test-script-state=\"notRunning\"]')"
# Tables and charts are drawn after the script has ended: nothing has changed for 300 ms.
_STILL = """() => new Promise(still => {
    const main = document.querySelector('[data-testid=stMain]');
    const done = () => { watch.disconnect(); still(); };
    let timer = setTimeout(done, 300);
    const watch = new MutationObserver(() => {
        clearTimeout(timer);
        timer = setTimeout(done, 300);
    });
    watch.observe(main ?? document.body, {childList: true, subtree: true, characterData: true});
})"""


@contextmanager
def served(folder: Path, **settings: Path) -> Iterator[tuple[str, int]]:
    """The address and the process id of a dashboard with these settings, running in `folder`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    given = json.dumps({name: str(value) for name, value in settings.items()})
    environment = {**os.environ, VARIABLE: given, "PYTHONPATH": str(Path(__file__).parents[2])}
    # A name that many folders have.
    (folder / "app.py").write_text("raise SystemExit('another app than ours')")
    with subprocess.Popen(
        serving(port), env=environment, cwd=folder, stderr=subprocess.DEVNULL
    ) as server:
        address = f"http://127.0.0.1:{port}"
        _wait_until_it_answers(f"{address}/_stcore/health")
        try:
            yield address, server.pid
        finally:
            server.terminate()


@contextmanager
def chromium_browser():
    """A headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


def window(browser, **options):
    """A window of the browser. Its tabs share what it keeps of the dashboard's scripts, a second of
    computing for a tab that has none of them.
    """
    return browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})


class Tab:
    """A browser tab on the dashboard that keeps what went wrong in it."""

    def __init__(self, context, address: str):
        self.address = address
        self.page = context.new_page()
        self.page.set_default_timeout(30_000)
        self.problems: list[str] = []
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.problems.append(f"page error: {error}"))
        self.page.on(
            "dialog",
            lambda dialog: (
                self.problems.append("a script of a user's text ran"),
                dialog.dismiss(),
            ),
        )
        self.page.on("response", self._response)
        self.page.on("request", self._request)

    def _console(self, message) -> None:
        # Failed loads are judged by `_response`, which knows their address.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.problems.append(f"console: {message.text}")

    def _response(self, response) -> None:
        # Streamlit looks
        # for its own endpoints below a page's address before it finds them at the root.
        if response.status >= 400 and "/_stcore/" not in response.url:
            self.problems.append(f"{response.status}: {response.url}")

    def _request(self, request) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.problems.append(f"leaves this machine: {request.url}")

    def open(self, path: str = "") -> "Tab":
        self.page.goto(f"{self.address}/{path}")
        self.page.wait_for_selector("h1")
        return self.settle()

    def visit(self, page: str) -> "Tab":
        """Click on a page's link in the sidebar until its heading is there. Streamlit forgets a
        click when a part of the page that redraws itself asks for its redraw in the same moment.
        """
        link = self.page.get_by_test_id("stSidebar").get_by_role("link", name=page, exact=True)
        heading = self.page.locator("h1", has_text=page)
        end = time.monotonic() + 60
        link.click()
        self.settle()
        while not heading.is_visible():
            assert time.monotonic() < end, f"{page} does not open"
            link.click()
            self.settle()
        return self

    def settle(self) -> "Tab":
        """Wait until the page's script has ended, what it says is drawn, and no exception box is
        shown. On a busy machine that can be the script before the last click: what a click changes
        is asserted by waiting for it (`sees`, `has_address`, Playwright's `expect`).
        """
        self.page.wait_for_timeout(250)  # a click needs a moment to reach the server
        self.page.wait_for_function(_DONE)
        self.page.evaluate(_STILL)
        assert self.page.locator('[data-testid="stException"]').count() == 0
        return self

    def close(self) -> None:
        """Close it; fails if anything has gone wrong in it."""
        self.page.close()
        assert self.problems == []

    def sees(self, *texts: str) -> None:
        """Wait until the page shows all of these;
        parts of it are drawn after its script has ended.
        """
        for text in texts:
            self.page.wait_for_function(
                "text => document.querySelector('[data-testid=stMain]')?.innerText.includes(text)",
                arg=text,
            )

    def has_address(self, *texts: str) -> None:
        """Wait until the page's address, decoded, holds all of these; it changes some moments after
        the click that changes it, and the page some moments after the address.
        """
        for text in texts:
            self.page.wait_for_url(lambda url, text=text: text in unquote_plus(url))

    def offered(self, label: str, option: str):
        """Open a select box or a multiselect; returns the option in its list."""
        field = self.page.get_by_role("combobox", name=label, exact=True)
        option_shown = self.page.get_by_role("option", name=option, exact=True)
        end = time.monotonic() + 30
        while not option_shown.is_visible():  # a redraw of the page closes a list that is open
            assert time.monotonic() < end, f"{label} does not offer {option}"
            field.click()
            field.fill(option)
            self.page.wait_for_timeout(300)
        return option_shown

    def choose(self, label: str, option: str) -> None:
        """Pick an option of a select box or a multiselect."""
        from playwright.sync_api import TimeoutError as TooLate

        end = time.monotonic() + 30
        while True:
            try:
                self.offered(label, option).click(timeout=3_000)
                break
            except TooLate:  # the list was drawn anew, or closed, under the pointer
                assert time.monotonic() < end, f"{label} does not take {option}"
        self.page.keyboard.press("Escape")
        self.settle()

    def toggle(self, label: str, option: str) -> None:
        """Pick an option, or take it back where a multiselect has it already
        and offers it no more.
        """
        self.page.get_by_role("combobox", name=label, exact=True).wait_for()
        chosen = self.page.get_by_role("button", name=f"Remove {option}", exact=True)
        if not chosen.count():
            return self.choose(label, option)
        chosen.click()
        self.page.keyboard.press("Escape")
        self.settle()


def _wait_until_it_answers(address: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(address, timeout=1)
            return
        except (urllib.error.URLError, OSError):
            assert time.monotonic() < end, f"{address} does not answer"
            time.sleep(0.1)
