"""Documents in chunks, and how a document's score comes of its chunks'."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, overload

import numpy as np
from scipy import sparse

from retrievers.base import Hits
from retrievers.token_vectors import stacked

Span = tuple[int, int]
Vectors = np.ndarray | sparse.csr_matrix  # `[n, d]`


_BLOCK = 2_048  # chunks cut at a time


class PieceTexts(Sequence[str]):
    """Chunks, each cut out of its document when it is asked for.

    Args:
        documents: their texts; no list or tuple is indexed by an array, and may lie on disk.
        owner: int `[chunks]`, the document of each.
        spans: int `[chunks, 2]`, `[start, end)` in characters.
    """

    def __init__(self, documents: Sequence[str], owner: np.ndarray, spans: np.ndarray) -> None:
        self._documents, self._owner, self._spans = documents, owner, spans

    def __len__(self) -> int:
        return len(self._owner)

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: "slice | np.ndarray") -> list[str]: ...
    def __getitem__(self, row: "int | slice | np.ndarray") -> str | list[str]:
        if isinstance(row, slice | np.ndarray):
            return list(self.at(row))
        start, end = self._spans[row].tolist()
        return self._documents[int(self._owner[row])][start:end]

    def __iter__(self) -> Iterator[str]:
        for first in range(0, len(self), _BLOCK):
            rows = slice(first, first + _BLOCK)
            needed, which = np.unique(self._owner[rows], return_inverse=True)
            documents: Any = self._documents
            if isinstance(documents, list | tuple):
                texts = [documents[row] for row in needed.tolist()]
            else:
                texts = documents[needed]
            for at, (start, end) in zip(which.tolist(), self._spans[rows].tolist(), strict=True):
                yield texts[at][start:end]

    def at(self, rows: "slice | np.ndarray") -> "PieceTexts":
        """The chunks at these rows, still to be cut."""
        return PieceTexts(self._documents, self._owner[rows], self._spans[rows])


@dataclass(frozen=True)
class Pieces:
    """The chunks of all documents, document by document.

    Attributes:
        texts: the chunks.
        spans: where each stands in its document, `[start, end)` in characters: int `[chunks, 2]`,
            or pairs.
        starts: int64 `[documents + 1]`: document `d` has the chunks `starts[d]` to
            `starts[d + 1]`, one at least.
        shown: the span that stands for each chunk in an answer, as `spans`: a section around it, or
            the whole document; its own where this is None.
        vectors: of the chunks, where they are not to be encoded by themselves.
    """

    texts: Sequence[str]
    spans: np.ndarray | Sequence[Span]
    starts: np.ndarray
    shown: np.ndarray | Sequence[Span] | None = None
    vectors: np.ndarray | None = None

    def first(self) -> "Pieces":
        """The first chunk of each document alone."""
        rows = self.starts[:-1]
        return replace(
            self,
            texts=self.texts.at(rows)
            if isinstance(self.texts, PieceTexts)
            else [self.texts[row] for row in rows],
            spans=np.asarray(self.spans)[rows],
            starts=np.arange(len(rows) + 1, dtype=np.int64),
            shown=None if self.shown is None else np.asarray(self.shown)[rows],
            vectors=None if self.vectors is None else self.vectors[rows],
        )


@dataclass(frozen=True, eq=False)
class Layout:
    """Which chunks are of which documents, and what of a document stands for each in an answer.

    Attributes:
        starts: as `Pieces.starts`.
        shown: int64 `[chunks, 2]`, `[start, end)` in characters.
    """

    starts: np.ndarray
    shown: np.ndarray

    @classmethod
    def of(cls, chunks: Pieces) -> "Layout":
        shown = chunks.spans if chunks.shown is None else chunks.shown
        return cls(chunks.starts, np.array(shown, dtype=np.int64).reshape(-1, 2))

    @cached_property
    def owner(self) -> np.ndarray:
        """The document of each chunk: int64 `[chunks]`."""
        return np.repeat(np.arange(len(self.starts) - 1), self.counts)

    @property
    def counts(self) -> np.ndarray:
        """The number of each document's chunks."""
        return np.diff(self.starts)

    def chunks_of(self, documents: np.ndarray) -> np.ndarray:
        """The chunks of these documents: int64 `[n]`."""
        spans = [np.arange(self.starts[row], self.starts[row + 1]) for row in documents]
        return np.concatenate(spans) if spans else np.empty(0, dtype=np.int64)

    def with_more(self, more: "Layout") -> "Layout":
        """With further documents behind these."""
        starts = np.concatenate([self.starts, self.starts[-1] + more.starts[1:]])
        return Layout(starts, np.concatenate([self.shown, more.shown]))

    def without(self, documents: np.ndarray) -> "Layout":
        """Without these documents."""
        counts = np.delete(self.counts, documents)
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return Layout(starts, np.delete(self.shown, self.chunks_of(documents), axis=0))


def means(chunks: Iterator[Vectors], starts: np.ndarray) -> Iterator[Vectors]:
    """The mean of each document's vectors `[n, d]`, whose inner product with a query is the mean
    of theirs; a CSR matrix where they are.

    Args:
        chunks: vectors of all chunks, in order, some at a time.
        starts: as `Pieces.starts`.
    """
    done, document = 0, 0
    rest: Vectors | None = None
    for chunk in chunks:
        rest = chunk if rest is None else stacked([rest, chunk])
        last = int(np.searchsorted(starts, done + rest.shape[0], side="right")) - 1
        if last > document:
            edges = starts[document : last + 1] - done
            counts = np.diff(edges)
            shares = np.repeat(1 / counts, counts).astype(np.float32)
            columns = np.arange(edges[-1])
            matrix = sparse.csr_matrix((shares, columns, edges), (len(counts), int(edges[-1])))
            mean: Any = matrix @ rest[: edges[-1]]
            yield mean
            rest, done, document = rest[edges[-1] :], int(starts[last]), last


def best(
    search: Callable[[np.ndarray, int], Hits], queries: int, owner: np.ndarray, width: int, of: int
) -> tuple[Hits, np.ndarray]:
    """Each query's `width` documents by their best chunk: chunks are searched, more and more of
    them, until they are of enough documents. Equal scores stand in the order of the chunks.

    Args:
        search: of the queries at these rows, the best chunks, so many.
        queries: their number.
        owner: the document of each chunk.
        of: the chunks that may be found.

    Returns:
        The documents, and the best chunk of each: int64 `[queries, width]`, -1 for none.
    """
    rows = np.full((queries, width), -1, dtype=np.int32)
    scores = np.full(rows.shape, -np.inf, dtype=np.float32)
    chunks = np.full(rows.shape, -1, dtype=np.int64)
    open_ones, depth = np.arange(queries), min(width, of)
    while len(open_ones) and depth:
        hits = search(open_ones, depth)
        lacking = []
        for query, row, score in zip(open_ones, hits.rows, hits.scores, strict=True):
            held = row[row >= 0]
            _, first = np.unique(owner[held], return_index=True)
            places = np.sort(first)[:width]
            count = len(places)
            if count < width and len(held) == depth < of:
                lacking.append(query)
            rows[query, :count], scores[query, :count] = owner[held[places]], score[places]
            chunks[query, :count] = held[places]
        open_ones, depth = np.array(lacking, dtype=np.int64), min(2 * depth, of)
    return Hits(rows, scores), chunks


def mean_scores(hits: Hits, owner: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The mean over each document's chunks, float32 `[queries, documents]`; a chunk that was not
    found scores 0, and a document of which none was, -inf.

    Args:
        hits: all chunks that were found.
        counts: the chunks of each document.
    """
    means = np.full((len(hits.rows), len(counts)), -np.inf, dtype=np.float32)
    for query, (row, score) in enumerate(zip(hits.rows, hits.scores, strict=True)):
        held = row >= 0
        documents = owner[row[held]]
        sums = np.bincount(documents, weights=score[held], minlength=len(counts))
        found = np.unique(documents)
        means[query, found] = sums[found] / counts[found]
    return means
