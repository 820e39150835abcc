"""Where texts are cut, on a tokenizer of words."""

import re

import numpy as np
import pytest

from embedlab.chunks import cutting
from embedlab.chunks.chunking import Chunking, parse
from embedlab.errors import UserError
from embedlab.evaluation.chunked_documents import one_for_each


def tokens(texts):
    return [[match.span() for match in re.finditer(r"\S\S?\S?", text)] for text in texts]


def cut(text, method, size, overlap=0):
    return cutting.pieces([text], method, tokens, size=size, overlap=overlap).texts


def test_tokens_overlap_and_keep_words_whole():
    assert cut("a b c d e f g", "tokens", 3, 1) == ["a b c", "c d e", "e f g"]
    assert cut("a bbbbbb c", "tokens", 2) == ["a", "bbbbbb", "c"]
    assert cut("bbbbbbbbb", "tokens", 2) == ["bbbbbb", "bbb"]  # a word that does not fit
    assert cut("a b ", "tokens", 2) == ["a b "] and cut("", "tokens", 2) == [""]


def test_sentences_are_packed():
    text = "Aa bb. Cc dd. Ee ff gg hh. Ii."
    assert cut(text, "sentences", 4) == ["Aa bb. Cc dd. ", "Ee ff gg hh. ", "Ii."]
    assert cut(text, "sentences", 99) == [text]


def test_headings_begin_sections():
    text = "intro\n# One\na b\n```\n# no heading\n```\n## Two\nc d e f"
    assert cut(text, "headings", 99) == [
        "intro\n", "# One\na b\n```\n# no heading\n```\n", "## Two\nc d e f",
    ]  # fmt: skip
    assert cut(text, "headings", 5)[-2:] == ["## Two\nc d e", "f"]


def test_specs():
    assert parse("tokens:size=256,overlap=32") == Chunking("tokens", 256, 32, "max")
    assert parse("headings:over=first") == Chunking("headings", over="first")
    for spec in (
        "words",
        "tokens:size=0",
        "tokens:sice=3",
        "tokens:over=sum",
        "tokens:size=4,overlap=4",
    ):
        with pytest.raises(UserError):
            parse(spec)


@pytest.mark.parametrize("step", [1, 2, 3, 7])
def test_one_vector_for_each_document_however_it_is_read(step):
    vectors = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    pieces = cutting.Pieces([""] * 7, [(0, 0)] * 7, np.array([0, 1, 4, 6, 7]))
    parts = [vectors[start : start + step] for start in range(0, 7, step)]
    mean = np.concatenate(list(one_for_each(iter(parts), pieces, "mean")))
    np.testing.assert_allclose(
        mean, [vectors[a:b].mean(0) for a, b in ((0, 1), (1, 4), (4, 6), (6, 7))], atol=1e-6
    )
    first = np.concatenate(list(one_for_each(iter(parts), pieces, "first")))
    np.testing.assert_array_equal(first, vectors[[0, 1, 4, 6]])
