"""The pages' logic without a browser: filters, orders,
and every way in which there is nothing to show.
"""

import json
import re
from html import unescape
from urllib.parse import parse_qs, urlsplit

import duckdb
import pytest
from streamlit.testing.v1 import AppTest

from leaderboard.records import Model, Run, Task
from leaderboard.storage.migrations import schema_version
from leaderboard.storage.rows import tables as run_tables
from leaderboard.storage.store import Store
from tests.app import sample

PAGES = [
    "leaderboard", "costs", "grids", "compare", "rag", "run", "search", "live", "model", "task",
]  # fmt: skip


def tables(page) -> str:
    return "".join(element.proto.body for element in page.get("html")).replace("<wbr>", "")


def rows(page) -> list[str]:
    """What heads the rows of the first table."""
    return re.findall(
        r'<th scope="row"[^>]*>(?:<a [^>]*>)?([^<]*)<', tables(page).partition("</table>")[0]
    )


def said(page) -> str:
    return " ".join(
        element.value for kind in ("info", "error", "caption", "code") for element in page.get(kind)
    )


@pytest.mark.parametrize("module", PAGES)
def test_every_page_has_an_empty_state_with_a_command(show, tmp_path, module):
    page = show(module, db=tmp_path / "none.duckdb", indexes=tmp_path / "none")
    assert not page.exception
    assert page.info and any(code.value.startswith("embedlab ") for code in page.code)
    assert not (tmp_path / "none.duckdb").exists()


def test_the_leaderboard_ranks_and_tells_who_cannot_be_told_apart(show, sample_db):
    page = show("leaderboard", tasks=sample.TASKS)
    assert not page.exception
    from leaderboard.tables.standings import rank

    standings = rank(Store(sample_db), sample.TASKS, every_view=False)
    expected = [row.name for row in standings.rows]
    shown = [
        label.replace("&lt;", "<").replace("&gt;", ">").replace("&#x27;", "'")
        for label in rows(page)
    ]
    assert shown == expected
    assert f"<strong>{standings.rows[0].mean:.4f}</strong>" in tables(page)
    assert "share a letter cannot be told apart" in said(page)


@pytest.mark.parametrize(
    "name",
    [
        'tiny?prompt.query="a & b? <i>: "&max_length=4',
        "http://localhost:80/v1#m?dimensions=8&b=%41",
    ],
)
def test_a_name_with_settings_is_shown_and_leads_to_its_page(show, tmp_path, name):
    store = Store(tmp_path / "own.duckdb")
    for seed, model in enumerate((name, "bm25")):
        for task in sample.TASKS:
            store.add(sample.whole_run(model, "dense", 0.5 + seed / 5, task, seed))
    page = show("leaderboard", db=tmp_path / "own.duckdb", tasks=sample.TASKS)
    assert not page.exception and name in [unescape(row) for row in rows(page)]
    links = re.findall(r'<a href="([^"]*)"', tables(page))
    named = [urlsplit(unescape(link)) for link in links]
    own = [(link.path, parse_qs(link.query)) for link in named if name in str(parse_qs(link.query))]
    assert own and not any(link.fragment for link in named)
    for module, address in own:
        found = show(module.strip("/"), db=tmp_path / "own.duckdb", **address)
        assert not found.exception and not found.error, module
        told = [each.value for each in (*found.markdown, *found.selectbox)]
        assert name in unescape(tables(found) + str(told))


def facts(page) -> dict[str, str]:
    """The first table of a page Model or Task, by what heads its rows."""
    first = tables(page).partition("</table>")[0]
    cells = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", first.partition("<tbody>")[2])
    plain_ones = [unescape(re.sub("<[^>]*>", "", cell)) for cell in cells]
    return dict(zip(plain_ones[::2], plain_ones[1::2], strict=True))


@pytest.mark.parametrize(("page", "key"), [("model", "named"), ("task", "of")])
def test_an_address_that_names_what_is_not_there_is_not_passed_over(show, page, key):
    (said,) = show(page, **{key: "no *such*"}).warning
    assert f"{page.title()} no \\*such\\* has no results here. This is " in said.value


def test_a_model_is_shown_with_its_facts_and_places(show, tmp_path):
    details = {
        "parameters": 7_000, "max_length": 512, "licence": "MIT", "public": False, "languages":
        ["eng-Latn"], "instructions": True, "link": "javascript:alert(1)", "paper": "arXiv:2401.1",
        "release_date": "", "dim": "many",
    }  # fmt: skip
    store = Store(tmp_path / "facts.duckdb")
    for score, model in ((0.5, Model("known", details=details)), (0.7, Model("unheard of"))):
        store.add(Run(model, Task("SciFact", "Retrieval"), score, {"ndcg_at_10": score}))
    told = facts(show("model", db=store.path, named="known"))
    assert told["parameters"] == "7,000" and told["max tokens"] == "512"
    assert (told["licence"], told["open weights"], told["instruction tuned"]) == (
        "mit",
        "no",
        "yes",
    )
    assert told["paper"] == "arxiv.org/abs/2401.1"
    assert {told[name] for name in ("link", "release date", "dimensions")} == {"unknown"}
    page = show("model", db=store.path, named="known")
    assert "javascript:" not in tables(page) and "2 of 2" in tables(page)
    told = facts(show("model", db=store.path, named="unheard of"))
    names = ("parameters", "dimensions", "licence", "open weights", "languages", "zero-shot")
    assert {told[name] for name in names} == {"unknown"}
    for clause, expected in (("parameters < 1e4", {"known"}), ("licence is null", {"unheard of"})):
        assert set(rows(show("leaderboard", db=store.path, where=clause))) == expected
    chosen = {"weights": "Closed", "licence": "mit", "language": "eng-Latn"}
    assert set(rows(show("leaderboard", db=store.path, **chosen))) == {"known"}


def test_a_task_is_shown_as_mteb_describes_it_or_by_its_runs(show, serve, sample_db, tmp_path):
    told = facts(show("task", of="STSBenchmark"))
    assert (told["type"], told["metric"]) == ("STS", "cosine_spearman")
    assert told["licence"] == told["size"] == "unknown"
    page = show("task", of="SciFact")
    assert sample._TEXTS["d0"] in tables(page) and sample._ASKED["q0"] in tables(page)

    known = {"licence": "mit", "type": "Retrieval", "metric": "ndcg_at_10", "description": "C.",
             "sizes": {"test": {"documents": 5183}}, "citation": "@article{x}"}  # fmt: skip
    (tmp_path / "tasks.json").write_text(json.dumps({"SciFact": known}))
    serve(db=sample_db, tasks=tmp_path / "tasks.json")
    page = AppTest.from_string("from app.screens import task; task.page()", default_timeout=60)
    page.query_params["of"] = "SciFact"
    told = facts(page.run())
    assert told["test split"] == "5,183 documents" and told["licence"] == "mit"
    assert "C\\." in said(page) and "@article{x}" in said(page)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ({"kind": "sparse"}, {"mistral-splade"}),
        ({"name": "MINILM"}, {"all-minilm-l6-v2", sample.COMPOSED}),
        ({"origin": "Imported", "incomplete": "true"}, {"org/imported-a", "org/imported-b"}),
        ({"since": "2026-02-01", "incomplete": "true"}, {"org/imported-a", "org/imported-b"}),
        ({"zeroshot": "100"}, set()),
        ({"size": "0"}, set()),
    ],
)
def test_filters_hide_rows(show, address, expected):
    chosen = {} if "incomplete" in address else {"tasks": sample.TASKS}
    page = show("leaderboard", **chosen, **address)
    assert not page.exception
    assert set(rows(page)) == expected
    if not expected:
        assert "No model passes" in said(page)


@pytest.mark.parametrize(
    ("sort", "key", "falls"),
    [
        ("SciFact", lambda row: row.scores["SciFact"], True),
        ("-SciFact", lambda row: row.scores["SciFact"], False),
        ("Borda", lambda row: row.borda or 99, False),
        ("Model", lambda row: row.name, False),
    ],
)
def test_a_header_sorts_the_rows(show, sample_db, sort, key, falls):
    from leaderboard.tables.standings import rank

    page = show("leaderboard", tasks=sample.TASKS, sort=sort)
    ranked = rank(Store(sample_db), sample.TASKS, every_view=False).rows
    expected = [row.name for row in sorted(ranked, key=key, reverse=falls)]
    assert not page.exception and [unescape(name) for name in rows(page)] == expected
    assert "sort=-SciFact" in tables(show("leaderboard", tasks=sample.TASKS, sort="SciFact"))


@pytest.mark.parametrize(
    ("chosen", "has", "lacks"),
    [
        ("Uncertainty", {"Group", "Places"}, {"Source"}),
        ("Origin", {"Source", "Revision"}, {"Group"}),
        ("Costs", {"encode (s)"}, {"Group"}),
    ],
)
def test_a_set_of_columns(show, chosen, has, lacks):
    page = show("leaderboard", tasks=sample.TASKS, set=chosen)
    header = unescape(tables(page).partition("</thead>")[0])
    assert not page.exception and all(name in header for name in has)
    assert not any(f">{name}" in header for name in lacks)


def test_a_figure_is_drawn_when_it_is_chosen(show):
    page = show("leaderboard", tasks=sample.TASKS)
    assert not page.get("vega_lite_chart")
    page = show("leaderboard", tasks=sample.TASKS, figure="Rank intervals")
    assert not page.exception and len(page.get("vega_lite_chart")) == 1
    assert "of one type" in said(show("leaderboard", tasks=sample.TASKS, figure="Task types"))


def test_an_address_that_makes_no_sense_falls_back(show):
    page = show(
        "leaderboard",
        benchmark=sample.DROP,
        tasks=sample.SCRIPT,
        order="x",
        p="-7",
        size="many",
        since="never",
    )
    assert not page.exception and len(rows(page)) > 5


def test_the_grid_names_the_smallest_view(show, sample_db):
    from leaderboard.tables.grids import grids

    page = show("grids", model=sample.ELASTIC)
    assert not page.exception
    wanted = {
        grid.smallest.capitalize() for grid in grids(Store(sample_db), sample.ELASTIC, ["SciFact"])
    }
    assert page.metric[0].value in wanted
    assert "faiss:hnsw32" in tables(page) and "int8" in tables(page)


def test_compare_agrees_with_the_leaderboards_statistics(show, sample_db):
    from leaderboard.tables.comparison import compare

    names = ["mistral-splade", "bm25"]
    page = show("compare", models=names, tasks=["SciFact"])
    assert not page.exception
    (pair,) = compare(Store(sample_db), names, ["SciFact"]).pairs
    html = tables(page)
    assert f"{pair.difference:+.4f}" in html and f"{pair.corrected_p:.4f}" in html
    assert f"{pair.wins} / {pair.ties} / {pair.losses}" in html
    assert "lab-hit relevant" in html and "<mark>" in html


def test_a_run_is_shown_whole_by_its_id(show):
    page = show("run", id="run-3")
    assert not page.exception
    assert (
        page.metric[0].value
        == re.search(r'nDCG@10</th><td class="figure">([\d.]+)', tables(page))[1]
    )
    assert "no GPU" in tables(page) and "2.13.0" in tables(page)
    assert any("query: how does" in code.value for code in page.code)
    assert "The weights hold NaN &lt;script&gt;" in tables(page)


def test_a_query_of_ten_megabytes_is_cut(show, tmp_path):
    sample.build_indexes(tmp_path)
    page = show("search", indexes=tmp_path)
    page.text_input(key="q").set_value("sorting " * 1_250_000).run(timeout=60)
    assert not page.exception
    assert len(page.session_state["q"]) <= 2_000


def test_a_store_that_cannot_be_read_is_one_message(open_app, tmp_path):
    corrupt = tmp_path / "corrupt.duckdb"
    corrupt.write_bytes(b"no database" * 1000)
    newer = tmp_path / "newer.duckdb"
    sample.Store(newer).add(sample.sts_run("a", "dense", 0.5, 1))
    with duckdb.connect(str(newer)) as connection:
        connection.execute("UPDATE meta SET schema_version = ?", [schema_version() + 1])
    other = tmp_path / "other.duckdb"
    with duckdb.connect(str(other)) as connection:
        connection.execute("CREATE TABLE t (a INTEGER)")
    for path, words in (
        (corrupt, "corrupt"),
        (newer, "newer embedlab"),
        (other, "no results store"),
    ):
        page = open_app(path)
        assert not page.exception
        assert len(page.error) == 1 and words in page.error[0].value.replace("\\", "")
        assert page.caption  # what to do


def test_the_whole_app_runs(open_app, sample_db):
    page = open_app(sample_db)
    assert not page.exception and not page.error
    assert page.title[0].value == "Leaderboard"


def test_the_cost_of_a_task_is_shown_beside_its_score_and_none_of_fewer_tasks(show, tmp_path):
    """A model that was timed on one task of two is on the front of that task,
    not on that of the mean.
    """
    runs = []
    for model, score, seconds in (
        ("small", 0.5, (10.0, 30.0)),
        ("huge", 0.6, (5.0, None)),
        ("base", 0.55, (20.0, 40.0)),
    ):
        for task, spent in zip(("A", "B"), seconds, strict=True):
            costs = {"evaluation_seconds": spent} if spent else {}
            runs.append(Run(Model(model), Task(task, "STS"), score, {}, costs=costs, source="mteb"))
    Store(tmp_path / "r.duckdb").add_tables(run_tables(runs))
    page = show("costs", db=tmp_path / "r.duckdb", cost="evaluation (s)")
    assert not page.exception
    assert rows(page) == ["base", "small"] and "60.00" in tables(page)
    assert "1 view was not measured on all tasks" in said(page)
    page = show("costs", db=tmp_path / "r.duckdb", cost="evaluation (s)", score="A")
    assert rows(page) == ["huge"] and "5.00" in tables(page)


def test_compared_runs_that_differ_in_a_setting_say_so(show, tmp_path):
    store = Store(tmp_path / "own.duckdb")
    for seed, name in enumerate(("one", "two")):
        settings = {"dtype": ("float32", "bfloat16")[seed]}
        run = sample.whole_run(name, "dense", 0.5 + seed / 5, "SciFact", seed, settings=settings)
        store.add(run)
    page = show("compare", db=tmp_path / "own.duckdb")
    assert not page.exception and len(page.get("vega_lite_chart")) >= 1
    shown = tables(page).partition("Settings in which the compared runs differ")[2]
    assert "float32" in shown and "bfloat16" in shown


def test_where_nothing_can_be_tested_there_is_a_dash(show, tmp_path):
    """Published results have no examples: task by task a dash, over six tasks a test, marked so."""
    tasks = "ABCDEF"
    runs = [
        Run(Model(model), Task(task, "STS"), score + n / 100, {}, source="mteb")
        for model, score in (("one", 0.5), ("other", 0.4))
        for n, task in enumerate(tasks)
    ]
    for count in (2, 6):
        db = tmp_path / f"{count}.duckdb"
        Store(db).add_tables(run_tables([run for run in runs if run.task.name in tasks[:count]]))
        page = show("compare", db=db, models=["one", "other"])
        assert not page.exception
        shown = tables(page)
        assert "A surely better" in shown and shown.count(">–<") == 2
        assert ("(over tasks)" in shown) == (count == 6)
