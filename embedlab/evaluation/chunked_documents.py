"""Documents that are searched in chunks: their index filled, and asked for documents."""

from collections.abc import Iterator
from typing import Any

from embedlab.chunks import chunking
from embedlab.evaluation import searching
from embedlab.evaluation.protocols.protocol import SearchResult
from embedlab.evaluation.retrieval_data import RetrievalData
from embedlab.progress import Reporter
from retrievers import index_costs
from retrievers.indexes.base_index import Index
from retrievers.pieces import Pieces
from retrievers.pipelines.by_chunks import Chunked


def search(
    index: Index,
    chunks: Iterator[Any],
    queries: Any,
    data: RetrievalData,
    pieces: Pieces,
    spec: str,
    *,
    k: int,
    reporter: Reporter,
) -> SearchResult:
    """Documents by the scores of their chunks, as `Chunked` ranks them.

    Args:
        index: an empty one, which gets the chunks.
        chunks: what it holds of them, some at a time.
    """

    def add(rows: slice, chunk: Any) -> None:
        index.add([str(piece) for piece in range(rows.start, rows.stop)], chunk)

    built = searching.fill(add, chunks, len(pieces.texts), reporter)
    over = chunking.parse(spec).over
    retriever = Chunked.of(index, data.document_ids, pieces, "max" if over == "first" else over)
    rows, scores, spent = searching.run_queries(retriever, queries, data, k=k)
    spent |= index_costs.latency(retriever, queries, min(k, 10, len(data.document_ids)), singles=50)
    costs = {"index_seconds": built, "index_bytes": float(index.memory_bytes()), **spent}
    return SearchResult(rows, scores, costs)
