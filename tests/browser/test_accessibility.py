"""axe-core on every page, in light and dark, on a desk and a phone; and the keyboard alone."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.app import sample

PAGES = {
    "leaderboard": "",
    "figures": "?figure=Rank intervals",
    "costs": "costs",
    "grids": "grids",
    "no grids": "grids?types=STS",
    "compare": f"compare?models=mistral-splade&models=bm25&tasks={sample.TASKS[0]}",
    "model": "model?named=starbucks",
    "task": "task?of=SciFact",
    "rag": "rag",
    "run": "run",
    "search": "search?q=sorting",
    "live": "live",
}


@pytest.mark.parametrize("of", ["tab", "phone"])  # light; dark and narrow
def test_no_page_has_a_finding(of, request):
    shown, found = request.getfixturevalue(of), []
    for name, address in PAGES.items():
        shown.open(address)
        report = Axe().run(shown.page, options={"resultTypes": ["violations"]}).response
        found += [
            (name, each["id"], target, each["help"])
            for each in report["violations"]
            for node in each["nodes"]
            for target in map(str, node["target"])
        ]
    assert found == []


def test_the_keyboard_reaches_pages_tables_and_headers(tab):
    tab.open()
    reached = []
    for _ in range(60):
        tab.page.keyboard.press("Tab")
        reached.append(
            tab.page.evaluate(
                "() => { const e = document.activeElement;"
                " return e.getAttribute('aria-label') || e.innerText.trim().split('\\n').pop() }"
            )
        )
    assert {"Cost and quality", "Live", "Mean", "nv-embed-mini", "Benchmark"} <= set(reached)
    assert any(label.startswith("Models ranked by") for label in reached)
    ring = tab.page.locator(".lab-table").first
    ring.focus()
    assert ring.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
    tab.page.locator("a.sort", has_text="Mean").first.focus()
    tab.page.keyboard.press("Enter")
    tab.has_address("sort=Mean")
