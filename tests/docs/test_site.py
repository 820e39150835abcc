"""`make docs`: the site is built without a broken link,
and its generated pages say what the code says.
"""

import subprocess
import sys
from dataclasses import fields
from html import unescape
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, blocks

pytest.importorskip("mkdocs", reason="the extra `docs` is not installed")


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The folder of the built site."""
    target = tmp_path_factory.mktemp("site")
    command = [
        sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(target),
    ]  # fmt: skip
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return target


@pytest.fixture
def generators(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import generators

    return generators


def text(path: Path) -> str:
    return unescape(path.read_text(encoding="utf-8"))


def test_every_page_is_in_the_site(site):
    for page in (ROOT / "docs").rglob("*.md"):
        assert (site / page.relative_to(ROOT / "docs")).with_suffix(".html").is_file(), page


def test_nothing_is_fetched_from_elsewhere(site):
    page = text(site / "index.html")
    assert not [part for part in page.split('src="')[1:] if part.startswith(("http", "//"))]
    assert "fonts.googleapis" not in page


def test_the_reference_has_the_front_door(site):
    import embedlab

    page = text(site / "reference" / "python.html")
    for name in set(embedlab.__all__) - {"__version__"}:
        assert f"embedlab.{name}" in page
    assert "per_query" in page and "Raises" in page


def test_the_reference_has_every_command_and_option(site):
    from embedlab.cli import COMMANDS
    from embedlab.options import GROUPS

    page = text(site / "reference" / "commands.html")
    assert not [name for name in COMMANDS if f"embedlab {name}" not in page]
    page = text(site / "reference" / "options.html")
    assert not [
        each.name
        for group in GROUPS.values()
        for each in fields(group)
        if f"<code>{each.name}</code>" not in page
    ]


def test_the_reference_has_every_card_and_recipe(site):
    from embedlab.models.cards import cards

    page = text(site / "reference" / "cards.html")
    assert not [name for name in cards() if f"<code>{name}</code>" not in page]
    page = text(site / "reference" / "recipes.html")
    recipes = {path.stem for path in (ROOT / "data" / "recipes").glob("*.toml")} - {"packages"}
    assert not [name for name in recipes if f"<code>{name}</code>" not in page]


def test_the_glossary_has_every_kind():
    from embedlab.models.kinds import Kind

    page = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    assert not [kind for kind in Kind if f"`{kind}`" not in page]


def test_the_store_page(generators, reader):
    """Its tables are those of a store that an evaluation has written,
    each with a meaning; its example runs.
    """
    import duckdb
    from generators import store

    reader.type(
        "embedlab eval --model bm25 --task path/to/beir-folder --db results.duckdb", run=True
    )
    with duckdb.connect("results.duckdb", read_only=True) as written:
        found = written.sql(
            "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE NOT internal"
        )
        real = {(name, column, kind) for name, column, kind in found.fetchall()}
    assert {
        (name, *column) for name, columns in store.columns().items() for column in columns
    } == real
    assert {name for name, *_ in real} == set(store.MEANINGS)
    assert Path("results.files").is_dir()
    for block in blocks(store.page()):
        reader.follow(block)


def test_the_picture_has_every_subpackage(generators):
    from generators import architecture

    picture = architecture.picture()
    for package in architecture.rules().PACKAGES:
        assert f">{package}</text>" in picture
        assert all(
            f">{name}</text>" in picture for level in architecture.levels(package) for name in level
        )
    upward = [
        arrow
        for arrow in architecture.arrows()
        if (arrow[0], arrow[2])
        in {("retrievers", "leaderboard"), ("leaderboard", "retrievers"), ("app", "embedlab")}
    ]
    assert not upward
