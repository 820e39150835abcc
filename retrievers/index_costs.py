"""What an index costs: seconds to build, bytes,
latency of single queries, throughput of batches, recall.
"""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from retrievers import folder
from retrievers.base import Documents, Hits, Queries, Retriever
from retrievers.search_types import count_of


def measure(
    retriever: Retriever,
    ids: Sequence[str],
    documents: Documents,
    queries: Queries,
    k: int = 10,
    *,
    singles: int = 200,
    exact: Hits | None = None,
) -> dict[str, float]:
    """Build the index and search it, with a clock.

    Args:
        singles: so many queries, evenly spread, are asked one at a time.
        exact: the answer of an exact search for the same queries, to take recall against.

    Returns:
        build_seconds, disk_bytes, memory_bytes (where the retriever knows it), latency_p50_ms,
        latency_p95_ms, latency_p99_ms, queries_per_second (all queries in one batch), recall_at_k
        (where `exact` is given).
    """
    started = time.perf_counter()
    retriever.index(ids, documents)
    costs = {"build_seconds": time.perf_counter() - started}
    with tempfile.TemporaryDirectory() as scratch:
        retriever.save(Path(scratch) / "index")
        costs["disk_bytes"] = float(folder.size_on_disk(Path(scratch) / "index"))
    if hasattr(retriever, "memory_bytes"):
        costs["memory_bytes"] = float(retriever.memory_bytes())
    costs |= latency(retriever, queries, k, singles)
    started = time.perf_counter()
    hits = retriever.search(queries, k)
    costs["queries_per_second"] = len(hits.rows) / (time.perf_counter() - started)
    if exact is not None:
        costs["recall_at_k"] = recall(hits, exact)
    return costs


def latency(retriever: Retriever, queries: Queries, k: int, singles: int = 200) -> dict[str, float]:
    """Milliseconds of single queries at the 50th,
    95th and 99th percentile, after one that warms up.
    """
    count = count_of(queries)
    chosen = np.unique(np.linspace(0, count - 1, min(singles, count)).astype(int))
    retriever.search(queries[:1], k)
    spent = []
    for q in chosen.tolist():
        started = time.perf_counter()
        retriever.search(queries[q : q + 1], k)
        spent.append(1000 * (time.perf_counter() - started))
    return {f"latency_p{p}_ms": float(np.percentile(spent, p)) for p in (50, 95, 99)}


def recall(hits: Hits, exact: Hits) -> float:
    """The share of the exact answer's documents that were found, mean over queries."""
    shares = [
        len(np.intersect1d(retrieved, expected[expected >= 0])) / max(1, int((expected >= 0).sum()))
        for retrieved, expected in zip(hits.rows, exact.rows, strict=True)
    ]
    return float(np.mean(shares))
