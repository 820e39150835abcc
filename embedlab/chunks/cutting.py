"""Cuts texts into spans of characters, by tokens, sentences or Markdown's headings."""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from embedlab.errors import missing_extra

Span = tuple[int, int]
# The spans of the tokens of each text, special ones aside.
Tokens = Callable[[Sequence[str]], Sequence[Sequence[Span]]]
_BATCH = 1000
_FENCE = re.compile(r"^(```|~~~)")


@dataclass(frozen=True)
class Pieces:
    """The chunks of all documents, document by document.

    Attributes:
        texts: the chunks.
        spans: where each stands in its document, `[start, end)` in characters.
        starts: int64 `[documents + 1]`: document `d` has the chunks `starts[d]` to
            `starts[d + 1]`, one at least.
    """

    texts: list[str]
    spans: list[Span]
    starts: np.ndarray

    @property
    def owner(self) -> np.ndarray:
        """The document of each chunk: int64 `[chunks]`."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))


def pieces(
    documents: Sequence[str], method: str, tokens: Tokens, *, size: int, overlap: int
) -> Pieces:
    """Every document's chunks of at most `size` tokens; one that fits is a chunk as it is.

    With "headings", a document is cut at each heading, however short its sections are.
    """
    texts: list[str] = []
    spans: list[Span] = []
    starts = [0]
    for first in range(0, len(documents), _BATCH):
        batch = documents[first : first + _BATCH]
        for text, offsets in zip(batch, tokens(batch), strict=True):
            found = list(cut(text, method, offsets, size=size, overlap=overlap))
            texts += [text[start:end] for start, end in found]
            spans += found
            starts.append(len(texts))
    return Pieces(texts, spans, np.array(starts, dtype=np.int64))


def cut(
    text: str, method: str, offsets: Sequence[Span], *, size: int, overlap: int
) -> Iterator[Span]:
    """The spans of one text's chunks; parts that are blank are left out."""
    fits, begins = len(offsets) <= size, [begin for begin, _ in offsets]
    if method == "headings":
        ranges = _sections(text)
    elif method == "sentences" and not fits:
        ranges = _packed(_sentences(text), begins, size)
    else:
        ranges = [(0, len(text))]
    found = False
    for start, end in ranges:
        inside = offsets[bisect_left(begins, start) : bisect_left(begins, end)]
        for span in _by_tokens(text, (start, end), inside, size, overlap):
            if text[slice(*span)].strip():
                found = True
                yield span
    if not found:
        yield 0, len(text)


def _by_tokens(
    text: str, whole: Span, offsets: Sequence[Span], size: int, overlap: int
) -> Iterator[Span]:
    count, first, start = len(offsets), 0, whole[0]
    while count - first > size:
        after = _word(text, offsets, first, first + size)
        yield start, offsets[after - 1][1]
        first = _word(text, offsets, first, max(after - overlap, first + 1))
        start = offsets[first][0]
    yield start, whole[1]


def _word(text: str, offsets: Sequence[Span], before: int, at: int) -> int:
    """The last token up to `at`, and after `before`, that begins a word; else `at`."""
    for token in range(at, before, -1):
        start = offsets[token][0]
        if text[start].isspace() or text[start - 1].isspace():
            return token
    return at


def _sentences(text: str) -> list[Span]:
    try:
        from sentencex import get_sentence_boundaries
    except ImportError:
        raise missing_extra("Cutting texts into sentences", "documents") from None
    found = get_sentence_boundaries("en", text)
    edges = sorted({0, *(each["start_index"] for each in found), len(text)})
    return list(pairwise(edges))


def _packed(units: Sequence[Span], tokens: Sequence[int], size: int) -> list[Span]:
    """Neighbouring units together, as long as their tokens, which begin at `tokens`, fit."""
    packed: list[Span] = []
    for start, end in units:
        begin = packed[-1][0] if packed else start
        if packed and bisect_left(tokens, end) - bisect_left(tokens, begin) <= size:
            packed[-1] = begin, end
        else:
            packed.append((start, end))
    return packed


def _sections(text: str) -> list[Span]:
    """From one ATX heading to the next; a # in fenced code is none."""
    edges, place, fenced = {0, len(text)}, 0, False
    for line in text.splitlines(keepends=True):
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced and re.match(r" {0,3}#{1,6}(\s|$)", line):
            edges.add(place)
        place += len(line)
    return list(pairwise(sorted(edges))) or [(0, 0)]
