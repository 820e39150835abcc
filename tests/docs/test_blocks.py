"""What README, CONTRIBUTING and docs say to type is typed:
page by page, as somebody does who reads along.
"""

import re

import pytest

from tests.docs.blocks import DATA, SHELL, SHOWN, blocks, pages

WITH_BLOCKS = {
    name: path for name, path in pages().items() if blocks(path.read_text(encoding="utf-8"))
}
SLOW = {
    name: path
    for name, path in WITH_BLOCKS.items()
    if "<!-- slow:" in path.read_text(encoding="utf-8")
}


@pytest.mark.parametrize("page", WITH_BLOCKS)
def test_blocks(page, reader):
    for block in blocks(WITH_BLOCKS[page].read_text(encoding="utf-8")):
        try:
            reader.follow(block)
        except BaseException as error:
            error.add_note(f"{page}:{block.line}")
            raise


@pytest.mark.bench
@pytest.mark.parametrize("page", SLOW)
def test_slow_blocks(page, reader):
    for block in blocks(SLOW[page].read_text(encoding="utf-8")):
        reader.follow(block, slow=True)


@pytest.mark.parametrize("page", pages())
def test_nothing_is_left_out(page):
    """Each block has a language that is looked at, and no command hides in an indented block or
    behind a bare mark.
    """
    text = pages()[page].read_text(encoding="utf-8")
    found = blocks(text)
    assert text.count("\n```") == 2 * len(found), "a fence is not closed, or is indented"
    for block in found:
        assert block.language in (*SHELL, *DATA, *SHOWN, "python"), f"{page}:{block.line}"
    outside = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    assert not re.search(r"^ {4,}(embedlab|make|python|pip) ", outside, re.M)


def test_the_readme_runs():
    """Blocks of the front page are run, not only parsed."""
    assert not [
        block
        for block in blocks(pages()["README.md"].read_text(encoding="utf-8"))
        if block.mark == "not run"
    ]


@pytest.mark.parametrize(
    ("block", "marked"),
    [
        ("embedlab evaluate --model bm25", "not run: x"),
        ("embedlab eval --modle bm25", "not run: x"),
        ("embedlab runs list --limit many", "slow: x"),
        ("embedlab leaderboard", ""),  # parses, and fails: there are no results
        ("make evil", ""),
        ("pip install 'embedlab[everything]'", ""),
        ("python -m pytest tests/nowhere", ""),
        ("cat nothing-here", ""),
    ],
)
def test_what_is_wrong_is_noticed(block, marked, reader):
    page = (f"<!-- {marked} -->\n" if marked else "") + f"```sh\n{block}\n```\n"
    (found,) = blocks(page)
    assert found.commands == [block] and f"{found.mark}: {found.reason}" == (marked or ": ")
    with pytest.raises((Exception, SystemExit)):
        reader.follow(found)


def test_python_that_is_wrong_is_noticed(reader):
    for body in ("1 / 0", "def f(:"):
        with pytest.raises((ZeroDivisionError, SyntaxError)):
            reader.follow(blocks(f"```python\n{body}\n```\n")[0])
