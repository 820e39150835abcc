"""What README, CONTRIBUTING and docs say to type is typed: page by page, as somebody does who reads along."""

import re

import pytest

from tests.docs.blocks import DATA, SHELL, SHOWN, blocks, pages

WITH_BLOCKS = {name: path for name, path in pages().items() if blocks(path.read_text(encoding="utf-8"))}
SLOW = {name: path for name, path in WITH_BLOCKS.items() if "<!-- slow:" in path.read_text(encoding="utf-8")}


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
    """Each block has a language that is looked at, and no command hides in an indented block or behind a bare mark."""
    text = pages()[page].read_text(encoding="utf-8")
    found = blocks(text)
    assert text.count("\n```") == 2 * len(found), "a fence is not closed, or is indented"
    for block in found:
        assert block.language in (*SHELL, *DATA, *SHOWN, "python"), f"{page}:{block.line}"
    outside = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    assert not re.search(r"^ {4,}(embedlab|make|python|pip) ", outside, re.M)


def test_the_readme_runs():
    """Blocks of the front page are run, not only parsed."""
    assert not [block for block in blocks(pages()["README.md"].read_text(encoding="utf-8")) if block.mark == "not run"]
