"""Vectors in Lucene: an impact index for learned sparse ones, an HNSW graph for dense ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, ClassVar

import numpy as np
from scipy import sparse

from retrievers.base import Hits
from retrievers.errors import RetrieverError
from retrievers.indexes._jvm import Java, java
from retrievers.indexes.dense import DenseIndex
from retrievers.indexes.lucene_base import LuceneBase
from retrievers.indexes.lucene_store import Fields, filtered
from retrievers.indexes.sparse import SparseVectorIndex, impacts

_MAX_DIM = 1024  # of Lucene's vector format


@dataclass(eq=False)
class LuceneImpactIndex(LuceneBase, SparseVectorIndex):
    """Learned sparse vectors in an inverted file whose term frequencies are the quantised weights.

    Weights of documents and queries become whole numbers, round(weight x scale); a score is their
    sum of products over scale squared. Below 2**24 in whole numbers it is exact, and the ranking
    that of `sparse,scale=...`.
    """

    family: ClassVar[str] = "lucene:impact"

    ranges: ClassVar[Mapping[str, tuple[float, float]]] = {
        **LuceneBase.ranges,
        "scale": (1e-6, 1e9),
    }

    scale: float = 100.0

    def _clear(self) -> None:
        SparseVectorIndex._clear(self)
        super()._clear()
        self._fields: Fields | None = None

    @property
    def manifest(self) -> dict[str, Any]:
        return {**super().manifest, "dim": self._dim}

    def _restore(self, manifest: dict[str, Any]) -> None:
        self._dim = manifest["dim"]

    def _write_documents(self, documents: sparse.csr_matrix, first: int) -> None:
        weights = impacts(documents, self.scale)
        writer = self._store.writer()
        self._fields = self._fields or Fields("impacts")
        for row in range(weights.shape[0]):
            self._fields.add(writer, first + row, (_terms(weights, row, "|"),))
        self._dim = documents.shape[1]

    def _search(self, queries: sparse.csr_matrix, k: int, rows: np.ndarray | None) -> Hits:
        weights = impacts(queries, self.scale)
        hits = super()._search([_terms(weights, q, "^") for q in range(weights.shape[0])], k, rows)
        return Hits(hits.rows, hits.scores / np.float32(self.scale**2))

    def _analyzer(self) -> Java:
        builder = java("analysis.custom.CustomAnalyzer").builder()
        options = java("java.util.HashMap")()
        builder.withTokenizer("whitespace", options)
        return builder.addTokenFilter("delimitedTermFrequency", java("java.util.HashMap")()).build()

    def _similarity(self) -> Java:
        return java("io.anserini.search.similarity.ImpactSimilarity")()

    def _query(self, query: str, k: int, allowed: Java) -> Java:
        # The parser reads all terms in one call; term by term,
        # a query would be hundreds of calls into Java.
        parser = java("queryparser.classic.QueryParser")(
            "impacts", java("analysis.core.WhitespaceAnalyzer")()
        )
        return filtered(
            parser.parse(query) if query else java("search.MatchNoDocsQuery")(), allowed
        )


@dataclass(eq=False)
class LuceneHnswIndex(LuceneBase, DenseIndex):
    """Dense vectors in Lucene's HNSW graph (M = 16, beam width 100 when built, which Lucene fixes).

    `ef_search`: candidates kept while the graph is walked; at least k. Up to 1,024 dimensions.
    """

    family: ClassVar[str] = "lucene:hnsw"
    ranges: ClassVar[Mapping[str, tuple[float, float]]] = {
        **LuceneBase.ranges,
        "ef_search": (1, inf),
    }

    ef_search: int = 128

    def _clear(self) -> None:
        DenseIndex._clear(self)
        super()._clear()

    @property
    def manifest(self) -> dict[str, Any]:
        return {**super().manifest, "dim": self._dim}

    def _restore(self, manifest: dict[str, Any]) -> None:
        self._dim = manifest["dim"]

    def _write_documents(self, vectors: np.ndarray, first: int) -> None:
        if vectors.shape[1] > _MAX_DIM:
            raise RetrieverError(
                f"Lucene takes up to {_MAX_DIM} dimensions, not {vectors.shape[1]}.",
                "Use 'faiss:hnsw32'.",
            )
        if self.metric == "l1":
            raise RetrieverError(
                "Lucene has no Manhattan distance.", "Use faiss:flat, faiss:hnsw32 or torch."
            )
        functions = java("index.VectorSimilarityFunction")
        function = {
            "cosine": functions.DOT_PRODUCT,  # of vectors of length 1
            "ip": functions.MAXIMUM_INNER_PRODUCT,
            "l2": functions.EUCLIDEAN,
        }[self.metric]
        writer = self._store.writer()
        for row, vector in enumerate(self._prepared(vectors).tolist(), start=first):
            document = java("document.Document")()
            document.add(java("document.KnnFloatVectorField")("vector", vector, function))
            document.add(java("document.IntPoint")("row", row))
            writer.addDocument(document)
        self._dim = vectors.shape[1]

    def _search(self, queries: np.ndarray, k: int, rows: np.ndarray | None) -> Hits:
        hits = super()._search(self._prepared(queries), k, rows)
        return Hits(hits.rows, self._unscaled(hits.scores))

    def _query(self, query: np.ndarray, k: int, allowed: Java) -> Java:
        arguments = [
            "vector",
            query.tolist(),
            max(k, self.ef_search),
            *([allowed] if allowed else []),
        ]
        return java("search.KnnFloatVectorQuery")(*arguments)

    def _unscaled(self, scores: np.ndarray) -> np.ndarray:
        """Lucene maps similarities to positive scores;
        these are the similarities again, to float32's precision.
        """
        with np.errstate(divide="ignore"):
            if self.metric == "cosine":
                return 2 * scores - 1
            if self.metric == "ip":
                return np.where(scores >= 1, scores - 1, 1 - 1 / np.maximum(scores, 0)).astype(
                    np.float32
                )
            distances: np.ndarray = np.sqrt(np.maximum(1 / np.maximum(scores, 0) - 1, 0)).astype(
                np.float32
            )
            return -distances

    def _analyzer(self) -> Java:
        return java("analysis.core.WhitespaceAnalyzer")()


def _terms(weights: sparse.csr_matrix, row: int, mark: str) -> str:
    """One vector as "t12|340 t97|25"."""
    begin, end = weights.indptr[row], weights.indptr[row + 1]
    pairs = zip(
        weights.indices[begin:end].tolist(),
        weights.data[begin:end].astype(np.int64).tolist(),
        strict=True,
    )
    return " ".join(f"t{term}{mark}{weight}" for term, weight in pairs)
