"""Every page of the dashboard in a real browser: content, an interaction, no error in the console
or on the page.
"""

from dataclasses import replace
from urllib.parse import quote, unquote_plus

import pytest
from playwright.sync_api import expect

from leaderboard.storage import live
from leaderboard.storage.live import Progress
from tests.app import sample

TASKS = "&".join(f"tasks={task}" for task in sample.TASKS)


def test_leaderboard(tab):
    tab.open(f"?{TASKS}")
    tab.sees(
        "mistral-splade",
        "share a letter cannot be told apart",
        sample.SCRIPT,
        sample.DROP,
        sample.MARKDOWN,
    )
    head = tab.page.locator("table thead th.figure").first
    assert head.evaluate("e => getComputedStyle(e).textAlign") == "right"
    assert (
        tab.page.locator("td strong").first.evaluate("e => getComputedStyle(e).fontWeight") == "700"
    )
    first = tab.page.locator("tbody tr").first.inner_text()
    tab.choose("Order by", "Borda count")
    assert "order=Borda+count" in tab.page.url
    tab.page.get_by_text("Filters").click()
    tab.choose("Kind", "lexical")
    tab.page.wait_for_function(
        "document.querySelectorAll('.lab-table:not(.lab-heat) tbody tr').length == 1"
    )
    assert tab.page.locator("tbody tr").first.inner_text() != first
    with tab.page.expect_download() as download:
        tab.page.get_by_role("button", name="CSV").click()
    assert "bm25" in download.value.path().read_text()


def test_an_address_brings_the_view_back(tab, another_tab):
    tab.open(f"?{TASKS}")
    tab.choose("Order by", "Borda count")
    tab.page.get_by_text("Filters").click()
    tab.choose("Kind", "sparse")
    copy = another_tab().open(tab.page.url.removeprefix(f"{tab.address}/"))
    shown = tab.page.locator("tbody").first.text_content()
    expect(copy.page.locator("tbody").first).to_have_text(shown)


def test_cost_and_quality(tab):
    tab.open(f"costs?{TASKS}")
    tab.page.wait_for_function(
        "document.querySelectorAll('.vega-embed canvas, .vega-embed svg').length >= 3"
    )
    tab.sees("The Pareto front", "Query latency")
    tab.choose("Cost", "latency p95 (ms)")
    assert tab.page.get_by_role("columnheader", name="latency p95 (ms)").is_visible()


def test_grids(tab):
    tab.open("grids")
    tab.sees("Smallest view within 1 % of the best", "Precision by index")
    before = tab.page.locator("tbody").first.inner_text()
    tab.choose("Index and precision", "faiss:hnsw32, int8")
    assert "grid=" in tab.page.url and tab.page.locator("tbody").first.inner_text() != before


def test_compare(tab):
    tab.open(f"compare?models=mistral-splade&models={quote(sample.DROP)}&{TASKS}")
    tab.sees(sample.DROP, "Corrected p", "Relevant documents")
    first = tab.page.locator("article").first.inner_text()
    fourth = (
        tab.page.get_by_role("region", name="The queries that differ most")
        .locator("tbody th")
        .nth(3)
        .inner_text()
    )
    tab.choose("Query", f"{fourth} [q{fourth.split()[-1]}]")
    assert tab.page.locator("article").first.inner_text() != first


def test_names_with_brackets_commas_and_spaces_survive_the_address(tab, another_tab):
    tab.open(f"compare?models={quote(sample.COMPOSED)}&models=bm25&tasks=SciFact")
    tab.sees(f"A: {sample.COMPOSED}. B: bm25.")
    tab.choose("Models", sample.MARKDOWN)
    tab.sees("B: bm25", sample.MARKDOWN)
    copy = another_tab().open(tab.page.url.removeprefix(f"{tab.address}/"))
    copy.sees(sample.COMPOSED, sample.MARKDOWN, "Corrected p")
    tab.settle()
    copy.settle()
    shown = tab.page.locator("tbody").first.text_content()
    expect(copy.page.locator("tbody").first).to_have_text(shown)
    tab.open(f"leaderboard?{TASKS}")
    tab.page.get_by_role("link", name=sample.COMPOSED).click()
    tab.sees(f"{sample.COMPOSED} on")


def test_run_reached_from_the_leaderboard(tab):
    tab.open(f"?{TASKS}")
    tab.page.get_by_role("link", name=sample.SCRIPT).click()
    tab.page.wait_for_selector("h1:has-text('Run')")
    tab.settle()
    assert sample.SCRIPT in unquote_plus(tab.page.url)
    tab.sees(f"{sample.SCRIPT} on", "First rendered inputs")
    tab.page.get_by_role("paragraph").filter(has_text="Environment").click()
    tab.sees("AMD EPYC")
    tab.choose("Task", "SciFact")
    tab.sees(f"{sample.SCRIPT} on SciFact")


def test_search(tab):
    tab.open("search?judged=SciFact, test, default, 1")
    field = tab.page.get_by_role("textbox", name="Query")
    field.fill("how does sorting a list work 0")
    field.press("Enter")
    tab.page.wait_for_selector("article")
    tab.settle()
    assert tab.page.locator("article").count() == 20
    assert "Sorting" in tab.page.locator("mark").all_inner_texts()
    tab.sees("2 of 2 relevant documents", " ms")
    field.fill("<script>alert()</script>")
    field.press("Enter")
    tab.page.wait_for_selector("text=Nothing.")


def test_a_query_of_ten_megabytes(tab):
    tab.open("search")
    field = tab.page.get_by_role("textbox", name="Query")
    field.evaluate(
        "(e, text) => { e.focus(); document.execCommand('insertText', false, text); }",
        "word " * 2_000_000,
    )
    field.press("Enter")
    tab.settle()
    assert len(tab.page.url) < 10_000 and len(field.input_value()) <= 2_000


def test_live_shows_progress_and_results_without_reload(tab, site):
    _, store = site
    progress = Progress("gem", "NFCorpus", "encode documents", 10, 200, 4.0)
    tab.open("live")
    tab.sees("Running now: 0")
    tab.page.wait_for_selector("code:has-text('embedlab eval')")
    try:
        live.publish(store.path, progress)
        tab.page.wait_for_selector("text=10 of 200")
        live.publish(store.path, replace(progress, done=150))
        tab.page.wait_for_selector("text=150 of 200")
    finally:
        live.clear(store.path, progress)
    tab.page.wait_for_selector("text=Running now: 0")
    store.add(sample.sts_run("just-finished", "dense", 0.5, 77))
    tab.page.wait_for_selector("text=just-finished")
    tab.visit("Leaderboard").choose("Task types", "STS")
    tab.sees("just-finished")


@pytest.mark.parametrize(
    "path", ["", "costs", "grids", "compare", "run", "search?q=sorting", "live"]
)
def test_every_page_fits_a_phone(another_tab, path):
    phone = another_tab(viewport={"width": 390, "height": 844}, color_scheme="dark").open(path)
    width = phone.page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth")
    assert width <= 390
    background = phone.page.locator(".stApp").evaluate("e => getComputedStyle(e).backgroundColor")
    assert max(map(int, background.removeprefix("rgb(").removesuffix(")").split(","))) < 60


def test_every_page_is_sent_with_a_policy_and_keeps_it(tab, site):
    """No page breaks its own policy (the tab's problems would name it),
    and a script from elsewhere is refused.
    """
    import urllib.request

    with urllib.request.urlopen(site[0]) as answer:
        policy = answer.headers["Content-Security-Policy"]
    assert (
        "default-src 'self'" in policy
        and "frame-ancestors 'none'" in policy
        and "unsafe-inline'" in policy
    )
    assert "'unsafe-inline'" not in policy.partition("script-src")[2].partition(";")[0]
    for page in ("", "costs", "grids", "compare", "run", "search", "live"):
        tab.open(page)
    assert tab.problems == []
    refused = tab.page.evaluate(
        "() => new Promise(done => { addEventListener('securitypolicyviolation', event =>"
        " done(event.blockedURI)); const script = document.createElement('script');"
        " script.textContent = 'window.ran = 1'; document.head.append(script); setTimeout(() =>"
        " done('ran'), 2000); })"
    )
    assert refused == "inline" and not tab.page.evaluate("() => window.ran")
    tab.problems.clear()  # the browser reports the refused script
