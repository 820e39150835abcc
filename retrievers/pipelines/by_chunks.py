"""A text retriever whose documents are searched in chunks."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from retrievers import pieces, ties, topk
from retrievers.base import Hits, Only, Passage, Queries, RetrievedDocument
from retrievers.errors import RetrieverError
from retrievers.index_checks import allowed_rows
from retrievers.indexes.dense import normalised
from retrievers.pipelines.chunk_store import ChunkStore
from retrievers.pipelines.encoded import Encoded
from retrievers.search_types import count_of
from retrievers.texts import check_texts

_SCORES = 1 << 24  # scores of chunks held at a time, where all are needed


class Chunked(ChunkStore):
    """Documents by the best of their chunks, or the mean of all; an answer holds the text of the
    best chunk.

    Args:
        part: an empty retriever of texts, or an index of vectors that holds the chunks already.
        cut: cuts texts; None where all chunks are in `part`.
        over: "max": a document scores as its best chunk does; "mean": as the mean of all (of BM25,
            a chunk without any of the query's words scores 0).
        means: of vectors, an empty index for the documents' means, which ranks by inner product.
        spec: what the cutting is called; kept in a saved index.
    """

    def search(self, queries: Queries, k: int, *, only: Only | None = None) -> Hits:
        return self._ranked(queries, k, only)[0]

    def retrieve(
        self, query: str, k: int, only: Only | None = None, where: str = ""
    ) -> list[RetrievedDocument]:
        """The `k` best documents, each with the text of its best chunk (or what stands for it),
        and where in the document that is; ties settled by id (`ties`).
        """
        ranking = _Noting(self)
        hits = ties.search(ranking, [query], k, only=self.allowed(only, where))
        if ranking.best:
            chunks = np.array([[ranking.best.get(row, -1) for row in hits.rows[0].tolist()]])
        else:
            chunks = self._best_chunks([query], hits.rows)
        return [
            RetrievedDocument(
                self.ids[row], score, passage.text, self.metadata(row), passage.start, passage.end
            )
            for row, score, chunk in zip(
                hits.rows[0].tolist(), hits.scores[0].tolist(), chunks[0].tolist(), strict=True
            )
            if row >= 0
            for passage in [self._passage(row, chunk)]
        ]

    def passages(self, queries: Sequence[str], rows: np.ndarray) -> list[list[Passage]]:
        """The text of the best chunk of each of these documents, for each query."""
        chunks = self._best_chunks(queries, rows)
        return [
            [
                self._passage(row, chunk)
                for row, chunk in zip(*pair, strict=True)
                if row >= 0
            ]
            for pair in zip(rows.tolist(), chunks.tolist(), strict=True)
        ]  # fmt: skip

    def _passage(self, row: int, chunk: int) -> Passage:
        start, end = self._layout.shown[chunk if chunk >= 0 else self._layout.starts[row]].tolist()
        return Passage(self._texts[row][start:end], start, end)

    def _ranked(
        self, queries: Queries, k: int, only: Only | None
    ) -> tuple[Hits, np.ndarray | None]:
        """The best documents, and the best chunk of each where ranking them shows it."""
        k = topk.check_k(k)
        allowed = None if only is None else allowed_rows(only, self.ids)
        width = min(k, len(self.ids) if allowed is None else len(allowed))
        if not self.ids:
            raise RetrieverError("The index is empty.", "Index documents first.")
        if self.over == "max":
            chunks = None if allowed is None else self._layout.chunks_of(allowed)
            count = len(self._layout.owner) if chunks is None else len(chunks)
            hits, best = pieces.best(
                lambda rows, depth: self.part.search(
                    ties.taken(queries, rows), depth, only=chunks
                ),
                count_of(queries), self._layout.owner, width, count,
            )  # fmt: skip
            missing = ((0, 0), (0, k - width))
            return topk.pad(hits, k), np.pad(best, missing, constant_values=-1)
        if self.means is None:
            return topk.pad(self._by_all_scores(queries, width, allowed), k), None
        vectors: Any = queries
        if isinstance(self.part, Encoded):
            vectors = self.part.encoder.encode_queries(check_texts(queries))
            vectors = normalised(vectors) if self._of_unit_vectors else vectors
        return self.means.search(vectors, k, only=allowed), None

    def _by_all_scores(self, queries: Queries, width: int, allowed: np.ndarray | None) -> Hits:
        """Documents by the mean of what all their chunks score."""
        chunks = None if allowed is None else self._layout.chunks_of(allowed)
        depth = len(self._layout.owner) if chunks is None else len(chunks)
        counts, count = self._layout.counts, count_of(queries)
        step = max(1, _SCORES // max(depth + len(counts), 1))
        rows = np.full((count, width), -1, dtype=np.int32)
        scores = np.full(rows.shape, -np.inf, dtype=np.float32)
        for start in range(0, count if depth else 0, step):
            part = np.arange(start, min(start + step, count))
            hits = self.part.search(ties.taken(queries, part), depth, only=chunks)
            found = topk.top(pieces.mean_scores(hits, self._layout.owner, counts), width)
            rows[part] = np.where(np.isfinite(found.scores), found.rows, -1)
            scores[part] = found.scores
        return Hits(rows, scores)

    def _best_chunks(self, queries: Sequence[str], rows: np.ndarray) -> np.ndarray:
        """The best chunk of each document at `rows` `[queries, k]`, of each query; -1 where a
        document has none that scores.
        """
        found = np.full(rows.shape, -1, dtype=np.int64)
        for place, (query, documents) in enumerate(zip(queries, rows, strict=True)):
            chunks = self._layout.chunks_of(np.unique(documents[documents >= 0]))
            if not len(chunks):
                continue
            hits = self.part.search([query], len(chunks), only=chunks)
            for chunk in hits.rows[0][hits.rows[0] >= 0][::-1]:
                found[place][documents == self._layout.owner[chunk]] = chunk
        return found


class _Noting:
    """Searches with one query, and notes the best chunk of each document where ranking shows it."""

    settles_ties = False

    def __init__(self, chunked: Chunked) -> None:
        self.chunked, self.ids = chunked, chunked.ids
        self.best: dict[int, int] = {}

    def search(self, queries: Queries, k: int, *, only: Only | None = None) -> Hits:
        hits, chunks = self.chunked._ranked(queries, k, only)
        if chunks is not None:
            self.best |= zip(hits.rows[0].tolist(), chunks[0].tolist(), strict=True)
        return hits
