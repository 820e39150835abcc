"""Each page finds what there is to show: the benchmark with results, the one with a grid, indexes
where they were made, and imports as one line.
"""

import json
import re
from functools import partial

import pytest
from streamlit.testing.v1 import AppTest

import embedlab
from embedlab import made_indexes
from leaderboard.exchange.importing import import_files, result_files
from leaderboard.exchange.mteb_files import TaskFacts, read
from leaderboard.records import Model, Run, Task
from leaderboard.storage.rows import tables as run_tables
from leaderboard.storage.store import Store
from tests.app import sample
from tests.app.test_pages import said, tables


@pytest.fixture
def opened(serve):
    """A function that opens a page with these settings and this address."""

    def run(module: str, address: dict | None = None, **settings) -> AppTest:
        serve(**settings)
        script = f"from app.screens import {module}\n{module}.page()"
        page = AppTest.from_string(script, default_timeout=60)
        for name, value in (address or {}).items():
            page.query_params[name] = value
        page.run()
        assert not page.exception
        return page

    return run


def test_a_benchmark_with_results_and_one_with_a_grid(opened, tmp_path):
    every, part = [f"T{n}" for n in range(4)], [("test", "default")]
    runs = [Run(Model(m), Task(t, "STS"), 0.5, {}) for t in every[:3] for m in ("a", "b")]
    grid = [Run(Model("c"), Task("T3", "STS"), dim / 100, {}, dim=dim) for dim in (8, 16)]
    Store(tmp_path / "r.duckdb").add_tables(run_tables([*runs, *grid]))
    parts = {"none": ["other"], "full": every[:3], "grid": every[3:]}
    known = {name: dict.fromkeys(tasks, part) for name, tasks in parts.items()}
    (tmp_path / "b.json").write_text(json.dumps({"parts": known}))
    files = {"db": tmp_path / "r.duckdb", "benchmarks": tmp_path / "b.json"}
    page = opened("leaderboard", **files)
    assert page.selectbox(key="benchmark").value == "full"
    assert page.selectbox(key="benchmark").options == ["All tasks", "full", "grid"]
    page = opened("grids", **files)
    assert page.selectbox(key="benchmark").value == "grid" and page.metric
    page = opened("grids", {"benchmark": "full"}, **files)
    assert not page.metric and "more than one layer" in said(page)
    assert 'href="grids?benchmark=grid"' in tables(page)


def test_indexes_are_found_where_they_were_made(opened, home, tmp_path):
    for name in ("here", "gone"):
        embedlab.Index.build({"a": "w1 w2", "b": "w3"}, "bm25").save(tmp_path / name)
    (tmp_path / "gone").rename(tmp_path / "moved")
    (home / "made-indexes.jsonl").open("a").write('"/nowhere"\n')
    page = opened("search", {"q": "w3"}, indexes=home / "indexes", made=made_indexes.register())
    assert page.selectbox(key="left").options == [str(tmp_path / "here")]
    assert "1 documents of 2" in said(page)
    page = opened("search", indexes=home / "indexes")  # as with --indexes: nothing else
    assert "There are no indexes" in said(page)


def test_an_import_is_one_line(opened, tmp_path):
    folder = tmp_path / "results"
    for model in range(8):
        of_model = folder / f"lab__m{model}" / "r1"
        of_model.mkdir(parents=True)
        for task in range(5):
            entry = {"main_score": 0.5, "hf_subset": "default", "languages": ["eng-Latn"]}
            content = {"task_name": f"T{task}", "dataset_revision": "1", "mteb_version": "2.0.0"}
            text = json.dumps(content | {"scores": {"test": [entry]}})
            (of_model / f"T{task}.json").write_text(text)
    store = Store(tmp_path / "r.duckdb")
    facts = {f"T{n}": TaskFacts(f"T{n}", "STS", "cosine_spearman") for n in range(5)}
    import_files(store, result_files(folder), partial(read, facts=facts))
    page = opened("live", db=store.path)
    (table,) = re.findall("<tbody.*?</tbody>", tables(page))
    assert table.count("<tr") == 1 and ">40<" in table and str(folder) in table
    assert "None has been computed here yet" in said(page)
    store.add(sample.whole_run("own", "dense", 0.5, "SciFact", 1))
    page = opened("live", db=store.path)
    runs, imports = re.findall("<tbody.*?</tbody>", tables(page))
    assert runs.count("<tr") == imports.count("<tr") == 1 and ">own<" in runs
