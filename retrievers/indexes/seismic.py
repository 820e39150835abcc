"""Approximate search of learned sparse vectors with Seismic
(Bruch et al., SIGIR 2024, arXiv:2404.18812).
"""

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from scipy import sparse

from retrievers import topk
from retrievers.base import Documents, Hits
from retrievers.errors import RetrieverError
from retrievers.indexes.sparse import SparseVectorIndex

try:
    import seismic
except ImportError as missing:
    raise RetrieverError(
        "Seismic is not installed.", "Type: pip install 'embedlab[cpu]'"
    ) from missing

_SMALL_VOCABULARY = 1 << 16  # the larger one takes two more bytes per weight


@dataclass(eq=False)
class SeismicIndex(SparseVectorIndex):
    """Inverted lists cut to the heaviest weights, in blocks with summaries.
    Weights are kept in float16.

    `n_postings`: entries kept per list on average; `summary_energy`: share of a block's weight that
    its summary keeps.
    `query_cut`: heaviest query terms used; `heap_factor`: below 1, blocks are skipped less readily.
    A filtered search scores all allowed documents.
    """

    family: ClassVar[str] = "seismic"
    updatable: ClassVar[bool] = True
    ranges: ClassVar[Mapping[str, tuple[float, float]]] = {
        "n_postings": (1, inf),
        "summary_energy": (0, 1),
        "query_cut": (1, inf),
        "heap_factor": (0, 1),
    }

    n_postings: int = 3500
    summary_energy: float = 0.4
    query_cut: int = 20
    heap_factor: float = 0.8

    def _clear(self) -> None:
        super()._clear()
        self._data: Any = None
        self._index: Any = None
        # Rows of the documents that have a weight; Seismic leaves the others out.
        self._stored: list[int] = []

    def _restore(self, manifest: dict[str, Any]) -> None:
        self._dim = manifest["dim"]

    @property
    def manifest(self) -> dict[str, Any]:
        return {**super().manifest, "dim": self._dim}

    def _checked(self, documents: Documents) -> sparse.csr_matrix:
        vectors = super()._checked(documents)
        if vectors.nnz and np.abs(vectors.data).max() > np.finfo(np.float16).max:
            raise RetrieverError(
                f"A weight is {np.abs(vectors.data).max():,.0f}; Seismic keeps weights up to"
                " 65,504.",
                "Use 'sparse'.",
            )
        return vectors

    def _add(self, documents: sparse.csr_matrix) -> None:
        if self._data is None and self._index is not None:  # loaded: its blocks take no more
            self._keep(np.arange(len(self.ids)))
        self._insert(documents, len(self.ids))

    def _keep(self, rows: np.ndarray) -> None:
        """All blocks are built anew."""
        self.finish()
        vectors = self._vectors(rows) if self._index is not None else None
        self._data, self._index, self._stored = None, None, []
        if vectors is not None:
            self._insert(vectors, 0)

    def _insert(self, documents: sparse.csr_matrix, first: int) -> None:
        large = documents.shape[1] > _SMALL_VOCABULARY
        if self._data is None:
            self._data = (seismic.SeismicDatasetLV if large else seismic.SeismicDataset)(
                dim=documents.shape[1]
            )
        self._dim, self._index = documents.shape[1], None
        rows = range(first, first + documents.shape[0])
        self._data.add_documents_by_id(
            [str(row) for row in rows],
            documents.indices.astype(np.int64),
            documents.data.astype(np.float32),
            documents.indptr.astype(np.int64),
        )
        self._stored += [
            row for row, count in zip(rows, np.diff(documents.indptr), strict=True) if count
        ]

    def finish(self) -> None:
        if self._index is None and self._stored:
            large = self._dim > _SMALL_VOCABULARY
            with _stdout_to_stderr():
                self._index = (
                    seismic.SeismicIndexLV if large else seismic.SeismicIndex
                ).build_from_dataset(
                    self._data, n_postings=self.n_postings, summary_energy=self.summary_energy
                )

    def _search(self, queries: sparse.csr_matrix, k: int, rows: np.ndarray | None) -> Hits:
        self.finish()
        hits = Hits(
            np.full((queries.shape[0], k), -1, np.int32),
            np.full((queries.shape[0], k), -np.inf, np.float32),
        )
        if self._index is None:
            return hits
        if rows is not None:
            return topk.top((queries @ self._vectors(rows).T).toarray(), k, rows)
        text = seismic.get_seismic_string()
        parts = [slice(*queries.indptr[q : q + 2]) for q in range(queries.shape[0])]
        answers = self._index.batch_search(
            np.array([str(q) for q in range(len(parts))], dtype=text),
            [queries.indices[part].astype(text) for part in parts],
            [queries.data[part].astype(np.float32) for part in parts],
            k,
            query_cut=self.query_cut,
            heap_factor=self.heap_factor,
        )
        for answer in answers:  # each hit names its query; queries without terms have no answer
            if answer:
                q = int(answer[0][0])
                hits.rows[q, : len(answer)] = [int(row) for _, _, row in answer]
                hits.scores[q, : len(answer)] = [score for _, score, _ in answer]
        return topk.best(*hits, k)

    def _vectors(self, rows: np.ndarray) -> sparse.csr_matrix:
        """The stored vectors of `rows`, from the index's forward file."""
        places = np.searchsorted(self._stored, rows)
        vectors = [
            (
                self._index.get(place)
                if place < len(self._stored) and self._stored[place] == row
                else ([], [])
            )
            for row, place in zip(rows.tolist(), places.tolist(), strict=True)
        ]
        indptr = np.cumsum([0, *(len(terms) for terms, _ in vectors)])
        terms = np.concatenate([terms for terms, _ in vectors]).astype(np.int32)
        weights = np.concatenate([weights for _, weights in vectors]).astype(np.float32)
        return sparse.csr_matrix((weights, terms, indptr), shape=(len(rows), self._dim))

    def memory_bytes(self) -> int:
        """The size of the index as Seismic writes it: the same arrays as in memory."""
        self.finish()
        with tempfile.TemporaryDirectory() as scratch:
            self._write(Path(scratch))
            return sum(file.stat().st_size for file in Path(scratch).iterdir())

    def _write(self, target: Path) -> None:
        self.finish()
        np.save(target / "stored.npy", np.array(self._stored, dtype=np.int64))
        if self._index is not None:
            with _stdout_to_stderr():
                self._index.save(str(target / "vectors"))

    def _read(self, path: Path) -> None:
        stored = np.load(path / "stored.npy")
        if (
            stored.dtype != np.int64
            or stored.ndim != 1
            or (np.diff(stored, prepend=-1, append=len(self.ids)) < 1).any()
        ):
            raise RetrieverError(
                "The index does not say which documents are in it.", "Build the index again."
            )
        self._stored = stored.tolist()
        if self._stored:
            large = self._dim > _SMALL_VOCABULARY
            self._index = (seismic.SeismicIndexLV if large else seismic.SeismicIndex).load(
                str(path / "vectors.index.seismic")
            )


@contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """Seismic reports its progress on standard output, which belongs to the caller."""
    sys.stdout.flush()
    stdout = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)
