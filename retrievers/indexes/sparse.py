"""Learned sparse vectors: checks, and exact search as a product of CSR matrices in this process."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
from scipy import sparse

from retrievers import topk
from retrievers.base import Documents, Hits
from retrievers.errors import RetrieverError
from retrievers.indexes.base_index import Index

_DOCUMENTS = 100_000  # documents per product
_SCORES = 32_000_000  # scores held at a time: 128 MB


@dataclass(eq=False)
class SparseVectorIndex(Index):
    """An index of CSR matrices `[n, |V|]`.

    `metric`: "ip" (inner product), or "cosine", where vectors are brought to length 1 first.
    """

    takes: ClassVar[str] = "sparse"

    metric: str = field(default="ip", kw_only=True)

    def __post_init__(self) -> None:
        if self.metric not in ("ip", "cosine"):
            raise RetrieverError(
                f"Sparse vectors are ranked by inner product or cosine, not by {self.metric!r}.",
                "Use metric=ip or metric=cosine.",
            )
        super().__post_init__()

    @property
    def dim(self) -> int:
        """The size of the vocabulary; 0 while nothing is indexed."""
        return self._dim

    def _clear(self) -> None:
        self._dim = 0

    def _checked(self, documents: Documents) -> sparse.csr_matrix:
        vectors = check_sparse(documents)
        if self._dim and vectors.shape[1] != self._dim:
            raise RetrieverError(
                f"The vectors have a vocabulary of {vectors.shape[1]}, those of the index"
                f" {self._dim}.",
                "Encode with the model that the index was built with.",
            )
        return _of_length_one(vectors) if self.metric == "cosine" else vectors

    def _content(self, documents: sparse.csr_matrix) -> Iterator[tuple[str, memoryview]]:
        yield "lengths", np.diff(documents.indptr).astype(np.int64).data
        yield "terms", documents.indices.astype(np.int32).data
        yield "weights", np.ascontiguousarray(documents.data).data


@dataclass(eq=False)
class SparseIndex(SparseVectorIndex):
    """Exact: every document is scored.

    `scale`: with a number above 0, weights of documents and queries are rounded to whole multiples
    of 1 / scale first, as `lucene:impact` does, and the ranking is the same as there.
    """

    family: ClassVar[str] = "sparse"
    updatable: ClassVar[bool] = True
    ranges: ClassVar[Mapping[str, tuple[float, float]]] = {"scale": (0, 1e9)}

    scale: float = 0.0

    @property
    def exact(self) -> bool:
        return not self.scale

    @property
    def scan_bytes(self) -> float:
        return 8.0  # a weight and its term

    def _clear(self) -> None:
        super()._clear()
        self._chunks: list[sparse.csr_matrix] = []

    def _add(self, documents: sparse.csr_matrix) -> None:
        self._dim = documents.shape[1]
        documents = impacts(documents, self.scale) if self.scale else documents
        self._chunks += [
            documents[i : i + _DOCUMENTS] for i in range(0, documents.shape[0], _DOCUMENTS)
        ]

    def _keep(self, rows: np.ndarray) -> None:
        kept = sparse.csr_matrix(sparse.vstack(self._chunks, format="csr")[rows])
        self._chunks = [kept[i : i + _DOCUMENTS] for i in range(0, kept.shape[0], _DOCUMENTS)]

    def _search(self, queries: sparse.csr_matrix, k: int, rows: np.ndarray | None) -> Hits:
        queries = impacts(queries, self.scale) if self.scale else queries
        batch = max(1, _SCORES // min(_DOCUMENTS, len(self.ids)))
        parts = [
            self._search_batch(queries[i : i + batch], k, rows)
            for i in range(0, queries.shape[0], batch)
        ]
        hits = (
            [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
            if parts
            else [np.empty((0, k))] * 2
        )
        return Hits(hits[0], hits[1] / np.float32(self.scale**2)) if self.scale else Hits(*hits)

    def _search_batch(self, queries: sparse.csr_matrix, k: int, rows: np.ndarray | None) -> Hits:
        best: Hits | None = None
        start = 0
        for chunk in self._chunks:
            first, start = start, start + chunk.shape[0]
            here = np.arange(first, start)
            if rows is not None:
                here = rows[(rows >= first) & (rows < start)]
                chunk = chunk[here - first]
            if len(here):
                hits = topk.top((queries @ chunk.T).toarray(), k, here)
                best = hits if best is None else topk.merge(best, hits, k)
        assert best is not None  # an empty filter is answered by `search`
        return best

    def memory_bytes(self) -> int:
        return sum(
            chunk.data.nbytes + chunk.indices.nbytes + chunk.indptr.nbytes for chunk in self._chunks
        )

    def _write(self, target: Path) -> None:
        sparse.save_npz(
            target / "vectors.npz", sparse.vstack(self._chunks, format="csr"), compressed=False
        )

    def _read(self, path: Path) -> None:
        documents = sparse.csr_matrix(sparse.load_npz(path / "vectors.npz"))
        self._expect(documents.shape[0], "vectors")
        self._dim = documents.shape[1]
        self._chunks = [
            documents[i : i + _DOCUMENTS] for i in range(0, documents.shape[0], _DOCUMENTS)
        ]


def _of_length_one(vectors: sparse.csr_matrix) -> sparse.csr_matrix:
    """Rows divided by their length; an empty row stays empty."""
    scaled = vectors.astype(np.float32)
    lengths = np.sqrt(scaled.multiply(scaled).sum(axis=1)).A1
    scaled.data /= np.repeat(np.maximum(lengths, np.finfo(np.float32).tiny), np.diff(scaled.indptr))
    return scaled


def impacts(vectors: sparse.csr_matrix, scale: float) -> sparse.csr_matrix:
    """Weights as whole numbers, round(weight x scale), in float32; what rounds to 0 is dropped.

    Raises:
        RetrieverError: a weight is negative.
    """
    if vectors.nnz and vectors.data.min() < 0:
        raise RetrieverError(
            "An impact index takes no negative weights.", "Use 'sparse' without a scale."
        )
    rounded = vectors.astype(np.float32)
    rounded.data = np.rint(rounded.data * np.float32(scale))
    rounded.eliminate_zeros()
    return rounded


def check_sparse(vectors: Any) -> sparse.csr_matrix:
    """The vectors as a CSR matrix.

    Raises:
        RetrieverError: they are something else, or hold NaN or infinity.
    """
    if not sparse.issparse(vectors):
        raise RetrieverError(
            f"Expected sparse vectors as a CSR matrix [n, |V|], got {type(vectors).__name__}.",
            "Encode texts with a sparse encoder first; for dense vectors use 'torch' or"
            " 'faiss:flat'.",
        )
    # A copy of no data.
    matrix: sparse.csr_matrix = sparse.csr_matrix(cast("sparse.csr_matrix", vectors))
    if not np.isfinite(matrix.data).all():
        row = (
            int(
                np.searchsorted(
                    matrix.indptr, np.flatnonzero(~np.isfinite(matrix.data))[0], side="right"
                )
            )
            - 1
        )
        raise RetrieverError(
            f"The vector at row {row} holds NaN or infinity.", "Encode again, perhaps in float32."
        )
    if not matrix.has_sorted_indices:
        matrix = matrix.sorted_indices()
    return matrix
