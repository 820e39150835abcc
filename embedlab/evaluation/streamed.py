"""A part of a composition whose vectors stay in the store: each search is a pass over them."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from embedlab.evaluation.retrieval_data import RetrievalData
from retrievers import Encoder, Hits, Retriever
from retrievers.base import Documents, Only, Queries
from retrievers.errors import RetrieverError
from retrievers.index_checks import allowed_rows
from retrievers.indexes.base_index import Index
from retrievers.indexes.chunked import search_stream
from retrievers.texts import check_texts


class Streamed(Retriever):
    """Texts in, ranked documents of a task out.

    Args:
        encoder: of queries.
        index: an empty one that scores each document by itself, or one that has learned.
        blocks: the documents' rows and vectors, from the beginning at each call.
        data: the task's.
    """

    def __init__(
        self,
        encoder: Encoder,
        index: Index,
        blocks: Callable[[], Iterator[tuple[np.ndarray, Any]]],
        data: RetrievalData,
    ) -> None:
        self._encoder, self._index, self._blocks = encoder, index, blocks
        self.ids, self._documents = data.document_ids, data.documents

    def search(self, queries: Queries, k: int, *, only: Only | None = None) -> Hits:
        vectors = self._encoder.encode_queries(check_texts(queries))
        blocks = self._blocks()
        if only is not None:
            blocks = _among(allowed_rows(only, self.ids), blocks)
        return search_stream(self._index, blocks, vectors, k)

    def text(self, row: int) -> str:
        return self._documents[row]

    def index(self, ids: Sequence[str], documents: Documents) -> Self:
        raise _not_held()

    def save(self, path: Path) -> None:
        raise _not_held()

    @classmethod
    def opened(cls, path: Path, manifest: dict[str, Any], data: Path, encoder: Any = None) -> Self:
        raise _not_held()


def _among(
    allowed: np.ndarray, blocks: Iterator[tuple[np.ndarray, Any]]
) -> Iterator[tuple[np.ndarray, Any]]:
    for rows, vectors in blocks:
        kept = np.isin(rows, allowed)
        if kept.any():
            yield rows[kept], vectors[kept]


def _not_held() -> RetrieverError:
    return RetrieverError(
        "The vectors stay in the vector store, and are no index.", "Type: embedlab index --help"
    )
