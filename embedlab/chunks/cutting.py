"""Cuts texts into spans of characters, by tokens, sentences or Markdown's headings."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np

from embedlab.errors import missing_extra
from retrievers.pieces import Pieces, PieceTexts, Span

# The spans of the tokens of each text, special ones aside.
Tokens = Callable[[Sequence[str]], Sequence[Sequence[Span]]]
_BATCH = 1000
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")


def pieces(
    documents: Sequence[str],
    method: str,
    tokens: Tokens,
    *,
    size: int,
    overlap: int,
    breaks: Sequence[Sequence[Span]] | None = None,
) -> Pieces:
    """Every document's chunks of at most `size` tokens; one that fits is a chunk as it is.

    With "headings" a document is cut at each heading, with "semantic" into its `breaks`, however
    short the parts are.
    """
    spans: list[np.ndarray] = []
    counts: list[int] = []
    for first in range(0, len(documents), _BATCH):
        batch, inside = documents[first : first + _BATCH], list[Span]()
        for row, (text, offsets) in enumerate(zip(batch, tokens(batch), strict=True), first):
            parts = breaks[row] if breaks is not None else ()
            found = list(cut(text, method, offsets, parts, size=size, overlap=overlap))
            inside += found
            counts.append(len(found))
        spans.append(np.array(inside, dtype=np.int32).reshape(-1, 2))
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    where = np.concatenate([np.empty((0, 2), dtype=np.int32), *spans])
    owner = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    return Pieces(PieceTexts(documents, owner, where), where, starts)


def cut(
    text: str,
    method: str,
    offsets: Sequence[Span],
    parts: Sequence[Span] = (),
    *,
    size: int,
    overlap: int,
) -> Iterator[Span]:
    """The spans of one text's chunks; parts that are blank are left out."""
    fits, begins = len(offsets) <= size, [_begin(text, *span) for span in offsets]
    if method == "headings":
        ranges = sections(text)
    elif method == "semantic":
        ranges = list(parts)
    elif method == "sentences" and not fits:
        ranges = _packed(sentences(text), begins, size)
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


def _begin(text: str, start: int, end: int) -> int:
    """Where a token's own text begins: some tokenizers count the blank before a word to it."""
    token = text[start:end]
    return end - len(token.lstrip()) if token.strip() else start


def _by_tokens(
    text: str, whole: Span, offsets: Sequence[Span], size: int, overlap: int
) -> Iterator[Span]:
    count, first, start = len(offsets), 0, whole[0]
    while count - first > size:
        # Longer than the overlap: else the chunks that follow would repeat this one.
        after = _word(text, offsets, first + overlap, first + size)
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


def sentences(text: str) -> list[Span]:
    """From the beginning of a sentence to that of the next.

    Raises:
        UserError: sentencex is not installed.
    """
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


def sections(text: str) -> list[Span]:
    """From one ATX heading to the next; a # in fenced code is none.

    A fence is closed by one of its own kind, at least as long and with nothing behind it
    (CommonMark, section 4.5).
    """
    edges, place, opened = {0, len(text)}, 0, ""
    for line in text.splitlines(keepends=True):
        fence = _FENCE.match(line)
        if opened:
            if fence and fence[1].startswith(opened) and not fence[2].strip():
                opened = ""
        elif fence and not (fence[1][0] == "`" and "`" in fence[2]):
            opened = fence[1]
        elif re.match(r" {0,3}#{1,6}(\s|$)", line):
            edges.add(place)
        place += len(line)
    return list(pairwise(sorted(edges))) or [(0, 0)]


def parents(documents: Sequence[str], pieces: Pieces, parent: str) -> np.ndarray:
    """The span of the section or document around each chunk: int `[chunks, 2]`."""
    around: list[Span] = []
    for text, first, last in zip(documents, pieces.starts[:-1], pieces.starts[1:], strict=True):
        if parent == "document":
            around += [(0, len(text))] * (last - first)
            continue
        found = sections(text)
        begins = [start for start, _ in found]
        for start, end in pieces.spans[first:last]:
            holds = found[max(bisect_right(begins, start) - 1, 0)]
            around.append((holds[0], max(holds[1], end)))
    return np.array(around, dtype=np.int32).reshape(-1, 2)
