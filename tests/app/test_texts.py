"""User text in Markdown, in HTML, and in addresses."""

import re
from urllib.parse import parse_qs, urlsplit

from app.safe_text import breakable, highlighted, link, plain, view_of, words
from tests.app.sample import DROP, MARKDOWN, SCRIPT


def test_plain_leaves_no_sign_that_markdown_reads():
    for text in (SCRIPT, DROP, MARKDOWN, "a -> b <= c", "# title", "1. one"):
        escaped = plain(text)
        assert not re.search(r"(?<!\\)[*_`\[\]<>$:#|~]", escaped), escaped
        assert "--" not in escaped and "->" not in escaped
        assert escaped.replace("\\", "").replace("\u2060", "") == text


def test_links_keep_what_they_are_given():
    query = urlsplit(link("run", view=f"{DROP}&a=b#{SCRIPT}", tasks=["x", "y"])).query
    assert parse_qs(query) == {"view": [f"{DROP}&a=b#{SCRIPT}"], "tasks": ["x", "y"]}


def test_words_of_the_query_are_marked_and_the_rest_escaped():
    html = highlighted("Sorting <b>lists</b>, unsorted.", words("How does sorting a LIST work?"))
    assert html == "<mark>Sorting</mark> &lt;b&gt;<mark>lists</mark>&lt;/b&gt;, unsorted."
    assert highlighted("a+b <i>", ["a+b"]) == "<mark>a+b</mark> &lt;i&gt;"
    assert highlighted("<i>", []) == "&lt;i&gt;"


def test_long_names_may_break_where_words_end():
    assert breakable("org/model@dim=64,layer=2") == "org/<wbr>model@<wbr>dim=64,<wbr>layer=2"
    assert breakable("SciFact<b>") == "Sci<wbr>Fact&lt;b&gt;"
    assert breakable("zoneinfo.ZoneInfo") == "zoneinfo.<wbr>Zone<wbr>Info"
    assert breakable("nDCG@10 of 0.25") == "nDCG@10 of 0.25"


def test_a_view_in_words():
    assert view_of(4, 64.0, "int8", "faiss:flat") == "layer 4, 64d, int8, faiss:flat"
    assert view_of(float("nan"), None, "float32", "") == ""
