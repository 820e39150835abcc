"""A published site as its reader opens it: from disk, by mouse and keyboard, light and dark."""

import re
from pathlib import Path
from urllib.parse import unquote_plus

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from leaderboard.records import Model, Run, Task
from leaderboard.storage.rows import tables
from tests.app import sample
from tests.browser.tab import window
from tests.embedlab.options.test_publish import board, entries

PHONE = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}
PAGES = ("search=bm25", "view=tasks", "model=bm25", "task=SciFact", "search=nothing+like+it")
MORE = 130  # models beside the sample's: more than a page shows at first


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The sample store and many imported models, published; two leaderboards."""
    import sys

    from embedlab import cli

    folder = tmp_path_factory.mktemp("published")
    store = sample.fill(folder / "results.duckdb")
    store.add_tables(
        tables(
            [
                Run(Model(f"many/model-{n}"), Task(task, "Retrieval", revision="1"), n / 1000,
                    {"ndcg_at_10": n / 1000}, dim=384, source="mteb")
                for n in range(MORE)
                for task in sample.TASKS
            ]
        )
    )  # fmt: skip
    words = ["publish", "--db", store.path, "--out", folder / "site", "-b", "BEIR"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMBEDLAB_HOME", str(folder))
        patch.setattr(sys, "argv", ["embedlab", *map(str, words), "-b", "MTEB(eng, v1)"])
        patch.setattr(cli.app, "registered_commands", [])
        patch.setattr(cli.app, "registered_groups", [])
        with pytest.raises(SystemExit) as ended:
            cli.run()
        assert not ended.value.code
    return folder / "site"


class Page:
    """The site in a tab; what goes wrong there, and what leaves this disk, is kept."""

    def __init__(self, context, folder: Path):
        self.tab, self.folder, self.problems = context.new_page(), folder, []
        self.tab.on("console", lambda said: self.problems.append(said.text))
        self.tab.on("pageerror", lambda error: self.problems.append(str(error)))
        self.tab.on("dialog", lambda dialog: (self.problems.append("a script of a name ran"),
                                              dialog.dismiss()))  # fmt: skip
        self.tab.on("request", self._request)

    def _request(self, request) -> None:
        if not request.url.startswith((f"file://{self.folder}/", "data:")):
            self.problems.append(f"leaves the folder: {request.url}")

    def open(self, state: str = ""):
        self.tab.goto("about:blank")
        self.tab.goto(f"file://{self.folder}/index.html#{state}")
        expect(self.tab.get_by_label("Benchmark", exact=True)).to_be_visible()
        return self.tab

    def rows(self) -> list[list[str]]:
        """The cells of the table as they are read."""
        return self.tab.locator("tbody tr").evaluate_all(
            "rows => rows.map(row => [...row.children].map(cell => cell.textContent))"
        )


@pytest.fixture(params=["desk", "phone"])
def page(request, chromium, published):
    """The site on a light desk, or on a dark phone; it fails if anything went wrong in it."""
    context = window(chromium, **(PHONE if request.param == "phone" else {}))
    opened = Page(context, published)
    yield opened
    context.close()
    assert opened.problems == []


@pytest.fixture
def desk(chromium, published):
    """The site on a desk."""
    context = window(chromium)
    opened = Page(context, published)
    yield opened
    context.close()
    assert opened.problems == []


def test_search_sort_and_share(desk, chromium, published):
    tab = desk.open()
    expect(tab.get_by_role("status")).to_have_text(f"{MORE + 9} of {MORE + 9} models")
    assert len(desk.rows()) == 100
    tab.get_by_role("button", name="Show 39 more").click()
    assert len(desk.rows()) == MORE + 9

    tab.get_by_label("Search models").fill("MODEL-1 many")
    expect(tab.get_by_role("status")).to_have_text("41 of 139 models")
    mean = tab.get_by_role("columnheader", name="NFCorpus")
    mean.get_by_role("button").click()
    expect(mean).to_have_attribute("aria-sort", "descending")
    expect(mean.get_by_role("button")).to_be_focused()
    tab.keyboard.press("Enter")
    expect(mean).to_have_attribute("aria-sort", "ascending")
    first = [row[1] for row in desk.rows()][:3]
    assert first == ["many/model-1", "many/model-10", "many/model-11"]
    tab.get_by_label("Column set").select_option("Origin")
    tab.get_by_text("Columns", exact=True).click()
    tab.get_by_role("checkbox", name="Borda").check()
    for part in ("search=MODEL-1 many", "sort=NFCorpus", "columns="):
        assert part in unquote_plus(tab.url)

    other = Page(window(chromium), published)  # another reader, to whom the address was sent
    other.open(tab.url.partition("#")[2])
    assert other.rows() == desk.rows()
    expect(other.tab.get_by_label("Search models")).to_have_value("MODEL-1 many")
    assert other.problems == []
    other.tab.context.close()
    tab.go_back()
    expect(tab.get_by_role("columnheader", name="NFCorpus")).to_be_visible()


def test_the_numbers_shown_are_those_of_the_data(desk, published):
    for title in entries(published):
        tab = desk.open(f"benchmark={title}&set=Tasks&rows=200")
        expect(tab.locator("h2").first).to_contain_text(title)
        data = board(published, title)
        shown = [data["columns"][at] for at in data["sets"]["Tasks"]]
        for column, cells in zip(shown, zip(*desk.rows(), strict=True), strict=True):
            for cell, text in zip(column["cells"], cells, strict=True):
                digits = column.get("digits", 0)
                number = "" if cell is None else cell
                wanted = f"{cell / 10**digits:.{digits}f}" if isinstance(cell, int) else number
                assert text.rstrip("†") == wanted


def test_models_and_tasks_have_pages_of_their_own(desk):
    tab = desk.open()
    tab.get_by_role("link", name=sample.SCRIPT).click()
    expect(tab.locator("h2").first).to_have_text(sample.SCRIPT)
    expect(tab.locator("h2").first).to_be_focused()
    tab.get_by_role("link", name="SciFact").click()
    expect(tab.locator("h2").first).to_have_text("SciFact")
    expect(tab.locator("tbody tr")).to_have_count(100)
    tab.get_by_role("link", name="Tasks", exact=True).click()
    expect(tab.locator("tbody tr")).to_have_count(2)
    tab.get_by_label("Benchmark", exact=True).select_option("MTEB(eng, v1)")
    expect(tab.locator("tbody tr")).to_have_count(3)
    assert "benchmark=MTEB(eng, v1)" in unquote_plus(tab.url)
    desk.open("benchmark=BEIR&model=gone")
    expect(tab.locator("main")).to_contain_text("BEIR has no results of this model.")
    desk.open("benchmark=MTEB(eng, v9)&set=constructor")
    expect(tab.get_by_role("alert")).to_have_text("This site has no leaderboard of MTEB(eng, v9).")
    expect(tab.locator("tbody tr")).to_have_count(100)


def test_without_scripts_the_first_table_is_there(chromium, published):
    context = window(chromium, java_script_enabled=False)
    tab = context.new_page()
    tab.goto(f"file://{published}/index.html")
    expect(tab.locator("tbody tr")).to_have_count(100)
    expect(tab.locator("main")).to_contain_text("Searching and sorting need JavaScript")
    expect(tab.locator("footer a").first).to_have_attribute("href", re.compile(r"data/beir\..*csv"))
    context.close()


def test_no_serious_finding_of_axe_on_any_page_and_nothing_wider_than_a_phone(page):
    axe = Axe()
    for state in PAGES:
        tab = page.open(state)
        # axe would ask for the style sheet over HTTP.
        found = axe.run(tab, options={"preload": False}).response["violations"]
        serious = [each for each in found if each["impact"] in ("serious", "critical")]
        told = [(each["id"], [node["html"] for node in each["nodes"]][:3]) for each in serious]
        assert not told, (state, told)
        width = tab.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert width <= 0, (state, width)
