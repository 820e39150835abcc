"""Where texts are cut, on a tokenizer of words."""

import re
from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix, vstack

from embedlab.chunks import cutting, semantic
from embedlab.chunks.chunking import Chunking, parse, typed
from embedlab.errors import UserError
from retrievers import pieces


def tokens(texts):
    return [[match.span() for match in re.finditer(r"\S\S?\S?", text)] for text in texts]


def cut(text, method, size, overlap=0):
    return cutting.pieces([text], method, tokens, size=size, overlap=overlap).texts[:]


def test_tokens_overlap_and_keep_words_whole():
    assert cut("a b c d e f g", "tokens", 3, 1) == ["a b c", "c d e", "e f g"]
    assert cut("a bbbbbb c", "tokens", 2) == ["a", "bbbbbb", "c"]
    assert cut("bbbbbbbbb", "tokens", 2) == ["bbbbbb", "bbb"]  # a word that does not fit
    assert cut("a b ", "tokens", 2) == ["a b "] and cut("", "tokens", 2) == [""]


def test_a_long_word_does_not_repeat_what_is_before_it():
    assert cut("a b c " + "d" * 24, "tokens", 6, 4) == [
        "a b c ddddddddd", "c ddddddddddddddd", "d" * 18, "d" * 18,
    ]  # fmt: skip


def test_the_blank_before_a_word_is_not_the_sentence_before():
    """Byte-level tokenizers count it to the word."""
    text = "Aa bb. Cc dd. Ee jj. Gg hh ii."
    byte_level = lambda texts: [[m.span() for m in re.finditer(r" ?\w+| ?\W", t)] for t in texts]  # noqa: E731
    chunks = cutting.pieces([text], "sentences", byte_level, size=6, overlap=0).texts[:]
    assert chunks == ["Aa bb. Cc dd. ", "Ee jj. ", "Gg hh ii."]
    assert all(len(spans) <= 6 for spans in byte_level([chunk.strip() for chunk in chunks]))


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


@pytest.mark.parametrize(
    "code",
    [
        "```\n~~~\n# no\n```",
        "~~~\n```\n# no\n~~~",
        "````\n```\n# no\n````",
        "```\n```python\n# no\n```",  # what closes says nothing more
        "  ```sh\n# no\n  ```",
        "```\n# no",
    ],
)
def test_a_fence_is_closed_by_its_own_kind(code):
    text = f"# One\n{code}\n"
    assert cut(text, "headings", 99) == [text]
    if code.endswith(("```", "~~~")):
        assert cut(text + "# Two\n", "headings", 99) == [text, "# Two\n"]
    assert len(cut("```a``` is code\n# One\n", "headings", 99)) == 2


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
    starts = np.array([0, 1, 4, 6, 7])
    parts = [vectors[start : start + step] for start in range(0, 7, step)]
    expected = [vectors[a:b].mean(0) for a, b in ((0, 1), (1, 4), (4, 6), (6, 7))]
    mean = np.concatenate(list(pieces.means(iter(parts), starts)))
    np.testing.assert_allclose(mean, expected, atol=1e-6)
    sparse = pieces.means((csr_matrix(part) for part in parts), starts)
    np.testing.assert_allclose(vstack(list(sparse)).toarray(), expected, atol=1e-6)


def test_one_spelling_of_one_chunking():
    assert str(parse("tokens:over=max,overlap=0,late=no")) == "tokens" == str(parse("tokens:"))
    spec = "semantic:size=9,over=mean,late=yes,percentile=80,parent=section"
    assert str(parse("semantic:parent=section,percentile=80,late=yes,over=mean,size=9")) == spec
    assert parse(typed(parse(spec).settings)) == replace(parse(spec), parent="")
    for wrong in ("tokens:percentile=9", "semantic:percentile=100", "tokens:late=1", "tokens:size"):
        with pytest.raises(UserError):
            parse(wrong)


def test_semantic_chunks_end_where_neighbours_differ_most():
    text = "One is. Two is. Three is. Four is. Five is."
    towards = [[1, 0], [1, 0.1], [0.1, 1], [0, 1], [0.2, 1]]
    encode = lambda texts: np.array(towards)[: len(texts)]  # noqa: E731
    (parts,) = semantic.breaks([text], encode, 95)
    assert [text[a:b] for a, b in parts] == ["One is. Two is. ", "Three is. Four is. Five is."]
    # The second greatest distance, 0.0194, is above the median.
    (parts,) = semantic.breaks([text], encode, 50)
    assert [text[a:b] for a, b in parts] == ["One is. Two is. ", "Three is. Four is. ", "Five is."]
    whole = [["Aa bb. Cc dd."], ["Aa bb."], [""]]
    for (one,) in whole:
        assert semantic.breaks([one], encode, 95) == ([[(0, len(one))]] if one else [[]])


def test_parents_hold_their_chunks():
    text = "aa bb\n# One\na b c d\n## Two\nc d e f"
    chunks = cutting.pieces([text, "x"], "headings", tokens, size=3, overlap=0)
    assert chunks.texts[:] == ["aa bb\n", "# One\na", "b c d\n", "## Two\nc", "d e f", "x"]
    first, second, third = (0, 6), (6, 20), (20, len(text))
    whole = (0, len(text))

    def parents(texts, cut, parent):
        return list(map(tuple, cutting.parents(texts, cut, parent).tolist()))

    assert parents([text, "x"], chunks, "section") == [first, second, second, third, third, (0, 1)]
    assert parents([text, "x"], chunks, "document") == [whole] * 5 + [(0, 1)]
    across = cutting.pieces([text], "tokens", tokens, size=99, overlap=0)
    assert parents([text], across, "section") == [whole]
