"""Every page of the dashboard in a real browser: content, an interaction, no error in the console
or on the page.
"""

import re
from dataclasses import replace
from urllib.parse import quote

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
    expect(tab.page.locator("table thead th.figure").first).to_have_css("text-align", "right")
    expect(tab.page.locator("td strong").first).to_have_css("font-weight", "700")
    first = tab.page.locator("tbody tr").first
    before = first.text_content()
    tab.choose("Order by", "Borda count")
    tab.has_address("order=Borda count")
    tab.page.get_by_text("Filters").click()
    tab.choose("Kind", "lexical")
    expect(tab.page.locator(".lab-table:not(.lab-heat) tbody tr")).to_have_count(1)
    expect(first).not_to_have_text(before)
    with tab.page.expect_download() as download:
        tab.page.get_by_role("button", name="CSV").click()
    assert "bm25" in download.value.path().read_text()


def test_an_address_brings_the_view_back(tab, another_tab):
    tab.open(f"?{TASKS}")
    tab.choose("Order by", "Borda count")
    tab.has_address("order=Borda count")
    tab.page.get_by_text("Filters").click()
    tab.settle()
    tab.choose("Kind", "sparse")
    tab.has_address("Borda count", "sparse")
    expect(tab.page.locator(".lab-table:not(.lab-heat) tbody tr")).to_have_count(1)
    copy = another_tab.open(tab.page.url.removeprefix(f"{tab.address}/"))
    shown = copy.page.locator("tbody").first.text_content()
    expect(tab.page.locator("tbody").first).to_have_text(shown)


def test_cost_and_quality(tab):
    tab.open(f"costs?{TASKS}")
    tab.page.wait_for_function(
        "document.querySelectorAll('.vega-embed canvas, .vega-embed svg').length >= 3"
    )
    tab.sees("The Pareto front", "Query latency")
    tab.choose("Cost", "latency p95 (ms)")
    expect(tab.page.get_by_role("columnheader", name="latency p95 (ms)")).to_be_visible()


def test_grids(tab):
    tab.open("grids")
    tab.sees("Smallest view within 1 % of the best", "Precision by index")
    first = tab.page.locator("tbody").first
    before = first.text_content()
    tab.choose("Index and precision", "faiss:hnsw32, int8")
    tab.has_address("grid=faiss:hnsw32, int8")
    expect(first).not_to_have_text(before)


def test_compare(tab):
    tab.open(f"compare?models=mistral-splade&models={quote(sample.DROP)}&{TASKS}")
    tab.sees(sample.DROP, "Corrected p", "Relevant documents")
    first = tab.page.locator("article").first
    before = first.text_content()
    fourth = (
        tab.page.get_by_role("region", name="The queries that differ most")
        .locator("tbody th")
        .nth(3)
        .inner_text()
    )
    tab.choose("Query", f"{fourth} [q{fourth.split()[-1]}]")
    expect(first).not_to_have_text(before)


def test_names_with_brackets_commas_and_spaces_survive_the_address(tab, another_tab):
    tab.open(f"compare?models={quote(sample.COMPOSED)}&models=bm25&tasks=SciFact")
    tab.sees(f"A: {sample.COMPOSED}. B: bm25.")
    tab.choose("Models", sample.MARKDOWN)
    tab.sees("B: bm25", sample.MARKDOWN)
    tab.has_address(sample.COMPOSED, sample.MARKDOWN)
    copy = another_tab.open(tab.page.url.removeprefix(f"{tab.address}/"))
    copy.sees(sample.COMPOSED, sample.MARKDOWN, "Corrected p")
    shown = copy.page.locator("tbody").first.text_content()
    expect(tab.page.locator("tbody").first).to_have_text(shown)
    tab.open(f"leaderboard?{TASKS}")
    tab.page.get_by_role("link", name=sample.COMPOSED).click()
    tab.page.wait_for_selector("h1:has-text('Model')")
    tab.sees(sample.COMPOSED, "zero-shot")


def test_run_reached_from_the_leaderboard(tab):
    tab.open(f"?{TASKS}")
    tab.page.get_by_role("link", name=sample.SCRIPT).click()
    tab.page.wait_for_selector("h1:has-text('Model')")
    tab.page.get_by_role("link", name="details").first.click()
    tab.page.wait_for_selector("h1:has-text('Run')")
    tab.has_address(sample.SCRIPT)
    tab.sees(f"{sample.SCRIPT} on", "First rendered inputs")
    tab.page.get_by_role("paragraph").filter(has_text="Environment").click()
    tab.sees("AMD EPYC")
    tab.page.get_by_label("Remove NFCorpus").click()
    tab.choose("Task", "SciFact")
    tab.sees(f"{sample.SCRIPT} on SciFact")


def test_model_and_task_lead_to_each_other(tab):
    tab.open(f"leaderboard?{TASKS}&set=Facts&where={quote('parameters > 1 and SciFact > 0.1')}")
    tab.sees("Parameters")
    tab.page.get_by_role("link", name="nv-embed-mini", exact=True).click()
    tab.page.wait_for_selector("h1:has-text('Model')")
    tab.has_address("named=nv-embed-mini")
    tab.sees("zero-shot", "50 % of these tasks", "unknown")
    expect(tab.page.get_by_role("heading", name="nv-embed-mini")).to_be_visible()
    tab.page.get_by_role("link", name="NFCorpus", exact=True).click()
    tab.page.wait_for_selector("h1:has-text('Task')")
    tab.has_address("of=NFCorpus")
    tab.sees("nDCG@10", "A relevant document", "no")
    tab.page.get_by_role("link", name="bm25", exact=True).click()
    tab.page.wait_for_selector("h1:has-text('Model')")
    expect(tab.page.get_by_role("heading", name="bm25")).to_be_visible()
    tab.choose("Model", "mistral-splade")
    tab.has_address("named=mistral-splade")
    expect(tab.page.get_by_role("heading", name="mistral-splade")).to_be_visible()


def test_rag(tab, another_tab):
    tab.open(f"rag?a={quote('bm25 k=1 + reader')}&measure=exact_match")
    tab.sees("A and B in a paired test", "3 / 0 / 0", f"who sorts {sample.SCRIPT}?")
    tab.sees("Right answers: nobody <b>")
    tab.choose("Question", "who knows? [r3]")
    tab.has_address("measure=exact_match", "[r3]")
    tab.sees("Nothing in the documents answers it.")
    copy = another_tab.open(tab.page.url.removeprefix(f"{tab.address}/"))
    copy.sees("3 / 0 / 0", "Nothing in the documents answers it.")


def test_search(tab):
    tab.open("search?judged=SciFact, test, default, 1")
    field = tab.page.get_by_role("textbox", name="Query")
    field.fill("how does sorting a list work 0")
    field.press("Enter")
    expect(tab.page.locator("article")).to_have_count(20)
    expect(tab.page.locator("mark", has_text=re.compile("^Sorting$")).first).to_be_visible()
    tab.sees("2 of 2 relevant documents", " ms")
    field.fill("<script>alert()</script>")
    field.press("Enter")
    tab.page.wait_for_selector("text=Nothing.")


def test_a_query_of_a_megabyte_is_not_taken(tab):
    tab.open("search")
    field = tab.page.get_by_role("textbox", name="Query")
    field.evaluate(
        "(e, text) => { e.focus(); document.execCommand('insertText', false, text); }",
        "word " * 200_000,
    )
    field.press("Enter")
    tab.settle()
    expect(field).to_have_value(re.compile("^.{0,2000}$"))
    field.fill("how does sorting work")
    field.press("Enter")
    tab.sees("documents of 80")
    tab.has_address("q=how does sorting work")
    expect(tab.page).to_have_url(re.compile("^.{1,9999}$"))


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


def test_every_page_fits_a_phone(phone):
    for path in ("", "costs", "grids", "compare", "rag", "run", "search?q=sorting", "live"):
        phone.open(path)
        phone.page.wait_for_function(
            "document.querySelector('[data-testid=stMain]').scrollWidth <= 390"
        )
        background = phone.page.locator(".stApp").evaluate(
            "e => getComputedStyle(e).backgroundColor"
        )
        red_green_blue = background.removeprefix("rgb(").removesuffix(")").split(",")
        assert max(map(int, red_green_blue)) < 60, path


def test_the_pages_are_sent_with_a_policy_that_refuses_scripts(tab, site):
    """A script from elsewhere is refused. That no page breaks its own policy,
    every test here sees: the browser writes it into the console, which a tab's problems hold.
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
    tab.open("live")
    assert tab.problems == []
    refused = tab.page.evaluate(
        "() => new Promise(done => { addEventListener('securitypolicyviolation', event =>"
        " done(event.blockedURI)); const script = document.createElement('script');"
        " script.textContent = 'window.ran = 1'; document.head.append(script); setTimeout(() =>"
        " done('ran'), 2000); })"
    )
    assert refused == "inline" and not tab.page.evaluate("() => window.ran")
    tab.problems.clear()  # the browser reports the refused script
