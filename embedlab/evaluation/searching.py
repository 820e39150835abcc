"""A retriever over a task's documents: filled, asked, and what that cost."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from embedlab.evaluation.protocols.protocol import SearchResult
from embedlab.evaluation.retrieval_data import RetrievalData
from embedlab.progress import Reporter
from retrievers import Retriever, index_costs
from retrievers.indexes.base_index import Index
from retrievers.indexes.chunked import search_stream
from retrievers.search_types import count_of

# What would take more as an index is searched without being held.
STREAM_BYTES = 1 << 30


def search(
    retriever: Index,
    chunks: Iterator[Any],
    queries: Any,
    data: RetrievalData,
    *,
    k: int,
    reporter: Reporter,
) -> SearchResult:
    """Index the chunks in document order, search all queries, and time single queries."""
    built = fill(
        lambda rows, chunk: retriever.add(data.document_ids[rows], chunk),
        chunks,
        len(data.document_ids),
        reporter,
    )
    rows, scores, spent = run_queries(retriever, queries, data, k=k)
    spent |= index_costs.latency(retriever, queries, min(k, 10, len(data.document_ids)), singles=50)
    return SearchResult(
        rows,
        scores,
        {"index_seconds": built, "index_bytes": float(retriever.memory_bytes()), **spent},
    )


def fill(
    add: Callable[[slice, Any], Any], chunks: Iterator[Any], count: int, reporter: Reporter
) -> float:
    """Call `add` with the rows and the chunk for all chunks, in document order, of `count`
    documents; returns the seconds that it took.
    """
    began, done = time.perf_counter(), 0
    with reporter.phase("index", count) as bar:
        for chunk in chunks:
            size = count_of(chunk)
            add(slice(done, done + size), chunk)
            done += size
            bar.advance(size)
    return time.perf_counter() - began


def run_queries(retriever: Retriever, queries: Any, data: RetrievalData, *, k: int) -> SearchResult:
    """Search all queries; a task with candidates, each among its own."""
    k, began = min(k, len(data.document_ids)), time.perf_counter()
    if data.candidates is None:
        rows, scores = retriever.search(queries, k)
    else:
        rows, scores = _among_candidates(retriever, queries, data, k)
    return SearchResult(rows, scores, rate(time.perf_counter() - began, data))


def streams(index: Index, components: int, data: RetrievalData) -> bool:
    """Whether documents are searched block by block: by an index that scores each document by
    itself, and would take more than a gibibyte to hold.

    Args:
        components: numbers in the documents' vectors.
    """
    return data.candidates is None and components * index.scan_bytes > STREAM_BYTES


def stream(
    index: Index,
    blocks: Iterable[tuple[np.ndarray, Any]],
    queries: Any,
    data: RetrievalData,
    *,
    k: int,
    reporter: Reporter,
    fleet: Any = None,
) -> SearchResult:
    """Search a large corpus without holding it; there is no index to measure then.

    Args:
        fleet: workers of a cluster, which search a block each (`cluster.fleet.ModelFleet`).
    """
    with reporter.phase("search", len(data.document_ids)) as bar:

        def counted() -> Iterator[tuple[np.ndarray, Any]]:
            for rows, block in blocks:
                yield rows, block
                bar.advance(len(rows))

        k, began = min(k, len(data.document_ids)), time.perf_counter()
        if fleet and index.exact:
            rows, scores = fleet.search(index, blocks, queries, k, bar=bar)
        else:
            rows, scores = search_stream(index, counted(), queries, k)
    return SearchResult(rows, scores, rate(time.perf_counter() - began, data))


def rate(seconds: float, data: RetrievalData) -> dict[str, float]:
    """The costs of a search of all queries."""
    return {
        "search_seconds": seconds,
        "queries_per_second": len(data.query_ids) / max(seconds, 1e-9),
    }


def _among_candidates(
    retriever: Retriever, queries: Any, data: RetrievalData, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rank each query's own candidates only (reranking tasks)."""
    candidates = data.candidates or {}
    width = min(k, max((len(candidates.get(query, ())) for query in data.query_ids), default=0))
    rows = np.full((len(data.query_ids), width), -1, dtype=np.int32)
    scores = np.full(rows.shape, -np.inf, dtype=np.float32)
    for position, query in enumerate(data.query_ids):
        among = candidates.get(query, ())
        if among:
            hits = retriever.search(
                queries[position : position + 1], min(width, len(among)), only=among
            )
            rows[position, : hits.rows.shape[1]], scores[position, : hits.rows.shape[1]] = (
                hits.rows[0],
                hits.scores[0],
            )
    return rows, scores
