"""A text retriever whose documents are searched in chunks."""

import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import xxhash

from retrievers import folder, pieces, ties, topk
from retrievers.base import Documents, Hits, Only, Passage, Queries, RetrievedDocument, Retriever
from retrievers.errors import RetrieverError
from retrievers.index_checks import allowed_rows, saved_ids
from retrievers.indexes.base_index import Index
from retrievers.indexes.dense import normalised
from retrievers.metadata_columns import Columns
from retrievers.pieces import Pieces, Vectors
from retrievers.pipelines.encoded import Encoded, pairs
from retrievers.search_types import count_of
from retrievers.texts import Texts, check_texts, joined
from retrievers.token_vectors import TokenVectors

Cut = Callable[[Sequence[str]], Pieces]
_SCORES = 1 << 24  # scores of chunks held at a time, where all are needed
_BATCH = 16_384  # chunks encoded at a time


class Chunked(Retriever):
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

    def __init__(
        self,
        part: Retriever,
        cut: Cut | None = None,
        *,
        over: str = "max",
        means: Index | None = None,
        spec: str = "",
    ) -> None:
        self.part, self.cut, self.over, self.means, self.spec = part, cut, over, means, spec
        self.parts = [part]
        if means is not None and isinstance(part, Encoded):
            means.encoder = part.encoder.id
        self.ids: Sequence[str] = []
        self._texts = Texts()
        self._take([], Pieces([], [], np.zeros(1, dtype=np.int64)))

    @classmethod
    def of(cls, part: Retriever, ids: Sequence[str], chunks: Pieces, over: str = "max") -> Self:
        """A retriever of documents whose chunks are in `part` already, by number."""
        chunked = cls(part, over=over)
        chunked._take(ids, chunks)
        return chunked

    def index(self, ids: Sequence[str], documents: Documents) -> "Chunked":
        if self.cut is None:
            raise RetrieverError(
                "A loaded index of chunks takes no more documents.", "Index the whole corpus anew."
            )
        ids, texts = pairs(ids, documents)
        _check_ids(ids)
        chunks = self.cut([joined(text) for text in texts])
        names = [str(row) for row in range(len(chunks.texts))]
        if isinstance(self.part, Encoded):
            self._fill(self.part, names, chunks)
        else:
            self.part.index(names, chunks.texts)
        self._texts = Texts()
        self._texts.extend(texts)
        self._take(ids, chunks)
        return self

    def _fill(self, part: Encoded, names: list[str], chunks: Pieces) -> None:
        """Encode the chunks, and index them and their means."""
        part.clear()
        unit = self._of_unit_vectors

        def encoded() -> Iterator[Vectors]:
            for start in range(0, len(names), _BATCH):
                rows = slice(start, start + _BATCH)
                texts, known = chunks.texts[rows], chunks.vectors
                vectors = part.encoder.encode_documents(texts) if known is None else known[rows]
                part.add(names[rows], texts, vectors)
                assert not isinstance(vectors, TokenVectors)  # late interaction is not cut
                yield normalised(np.asarray(vectors)) if unit else vectors

        if self.means is None:
            deque(encoded(), maxlen=0)
        else:
            self.means.clear()
            done = 0
            for block in pieces.means(encoded(), chunks.starts):
                count = int(block.shape[0])
                self.means.add([str(done + row) for row in range(count)], block)
                done += count
            self.means.finish()
        part.vectors.finish()

    @property
    def _of_unit_vectors(self) -> bool:
        """Whether means are of vectors of length 1, whose inner product with a query's is their
        cosine.
        """
        return (
            isinstance(self.part, Encoded) and getattr(self.part.vectors, "metric", "") == "cosine"
        )

    def _take(self, ids: Sequence[str], chunks: Pieces) -> None:
        self.ids, self._starts, self._owner = ids, chunks.starts, chunks.owner
        self._shown = np.array(chunks.shown or chunks.spans, dtype=np.int64).reshape(-1, 2)
        self._rows: dict[str, int] = {}

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
        start, end = self._shown[chunk if chunk >= 0 else self._starts[row]].tolist()
        return Passage(self._texts[row][start:end], start, end)

    def _ranked(
        self, queries: Queries, k: int, only: Only | None
    ) -> tuple[Hits, np.ndarray | None]:
        """The best documents, and the best chunk of each where ranking them shows it."""
        k = topk.check_k(k)
        allowed = None if only is None else allowed_rows(only, self._table, len(self.ids))
        width = min(k, len(self.ids) if allowed is None else len(allowed))
        if not self.ids:
            raise RetrieverError("The index is empty.", "Index documents first.")
        if self.over == "max":
            chunks = None if allowed is None else self._chunks_of(allowed)
            count = len(self._owner) if chunks is None else len(chunks)
            hits, best = pieces.best(
                lambda rows, depth: self.part.search(
                    ties.taken(queries, rows), depth, only=chunks
                ),
                count_of(queries), self._owner, width, count,
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
        chunks = None if allowed is None else self._chunks_of(allowed)
        depth = len(self._owner) if chunks is None else len(chunks)
        counts, count = np.diff(self._starts), count_of(queries)
        step = max(1, _SCORES // max(depth + len(counts), 1))
        rows = np.full((count, width), -1, dtype=np.int32)
        scores = np.full(rows.shape, -np.inf, dtype=np.float32)
        for start in range(0, count if depth else 0, step):
            part = np.arange(start, min(start + step, count))
            hits = self.part.search(ties.taken(queries, part), depth, only=chunks)
            found = topk.top(pieces.mean_scores(hits, self._owner, counts), width)
            rows[part] = np.where(np.isfinite(found.scores), found.rows, -1)
            scores[part] = found.scores
        return Hits(rows, scores)

    def _best_chunks(self, queries: Sequence[str], rows: np.ndarray) -> np.ndarray:
        """The best chunk of each document at `rows` `[queries, k]`, of each query; -1 where a
        document has none that scores.
        """
        found = np.full(rows.shape, -1, dtype=np.int64)
        for place, (query, documents) in enumerate(zip(queries, rows, strict=True)):
            chunks = self._chunks_of(np.unique(documents[documents >= 0]))
            if not len(chunks):
                continue
            hits = self.part.search([query], len(chunks), only=chunks)
            for chunk in hits.rows[0][hits.rows[0] >= 0][::-1]:
                found[place][documents == self._owner[chunk]] = chunk
        return found

    def _table(self) -> dict[str, int]:
        """The row of each id."""
        if len(self._rows) != len(self.ids):
            self._rows = {id: row for row, id in enumerate(self.ids)}
        return self._rows

    def _chunks_of(self, documents: np.ndarray) -> np.ndarray:
        """The chunks of these documents: int64 `[n]`."""
        spans = [np.arange(self._starts[row], self._starts[row + 1]) for row in documents]
        return np.concatenate(spans) if spans else np.empty(0, dtype=np.int64)

    def text(self, row: int) -> str:
        """The whole text of the document at `row`."""
        return self._texts[row]

    def metadata(self, row: int) -> dict[str, Any]:
        return self._texts.metadata(row)

    @property
    def columns(self) -> Columns:
        return self._texts.columns

    def memory_bytes(self) -> int:
        """Bytes of the index of chunks, and of that of the documents' means."""
        parts = [each for each in (self.part, self.means) if isinstance(each, Index | Encoded)]
        return sum(each.memory_bytes() for each in parts)

    def save(self, path: Path) -> None:
        content = "".join(f"{len(id)}:{id}" for id in self.ids).encode("utf-8", "surrogatepass")
        content += self._starts.tobytes() + self._shown.tobytes()
        digest = xxhash.xxh3_128(content + self._texts.digest().encode())
        manifest = {
            "retriever": "chunked",
            "settings": {"over": self.over, "spec": self.spec},
            "means": self.means is not None,
            "corpus": digest.hexdigest(),
            "documents": len(self.ids),
        }

        def fill(target: Path) -> None:
            (target / "ids.json").write_text(
                json.dumps(list(self.ids), ensure_ascii=False), encoding="utf-8"
            )
            np.save(target / "starts.npy", self._starts)
            np.save(target / "shown.npy", self._shown)
            self._texts.save(target)
            self.part.save(target / "part")
            if self.means is not None:
                self.means.save(target / "means")

        folder.write(path, manifest, fill)

    @classmethod
    def opened(
        cls, path: Path, manifest: dict[str, Any], data: Path, encoder: Any = None
    ) -> "Chunked":
        from retrievers.registry import load

        part = load(data / "part", encoder)
        means = load(data / "means") if manifest["means"] else None
        if means is not None and not isinstance(means, Index):
            raise RetrieverError(f"The index at {path} holds no index of means.", "Build it again.")
        loaded = cls(part, over=manifest["settings"]["over"], means=means)
        loaded.spec = manifest["settings"]["spec"]
        loaded._texts = Texts.load(data)
        ids = saved_ids(path, json.loads((data / "ids.json").read_text(encoding="utf-8")))
        starts, shown = np.load(data / "starts.npy"), np.load(data / "shown.npy")
        ends = np.diff(starts)
        fits = (
            len(ids) == len(loaded._texts) == len(ends)
            and len(part.ids) == len(shown) == starts[-1]
            and starts[0] == 0
            and (ends > 0).all()
            and (means is None or len(means.ids) == len(ids))
        )
        if not fits:
            raise RetrieverError(
                f"The parts of the index at {path} do not fit together.", "Build it again."
            )
        loaded._take(ids, Pieces([], list(map(tuple, shown.tolist())), starts))
        return loaded


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


def _check_ids(ids: list[Any]) -> None:
    if not all(isinstance(id, str) and id for id in ids):
        raise RetrieverError("An id is empty, or no text.", "Ids are non-empty strings.")
    if len(set(ids)) != len(ids):
        twice = next(id for row, id in enumerate(ids) if id in ids[:row])
        raise RetrieverError(f"The id {twice!r} occurs twice.", "Give each document an id.")
