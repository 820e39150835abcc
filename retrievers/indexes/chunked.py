"""Exact search over vectors that never lie in memory together:
chunk by chunk, the best merged as arrays.
"""

from collections.abc import Iterable

import numpy as np

from retrievers import topk
from retrievers.base import Hits
from retrievers.registry import make


def search_stream(
    spec: str, chunks: Iterable[np.ndarray], queries: np.ndarray, k: int, *, metric: str = "ip"
) -> Hits:
    """Search an exact index of each chunk in turn; the answer equals that of one index over all.

    Args:
        spec: an exact index, "faiss:flat" or "torch".
        chunks: float32 `[n, d]` each, in document order; only one is held at a time.
        queries: float32 `[q, d]`.
        k: documents per query.
        metric: as in `retrievers.make`.
    """
    best, start = None, 0
    for chunk in chunks:
        hits = (
            make(spec, metric=metric)
            .index([str(row) for row in range(len(chunk))], chunk)
            .search(queries, min(k, len(chunk)))
        )
        hits = Hits(np.where(hits.rows >= 0, hits.rows + start, -1).astype(np.int32), hits.scores)
        best = hits if best is None else topk.merge(best, hits, k)
        start += len(chunk)
    return (
        topk.pad(best, k)
        if best
        else Hits(np.empty((len(queries), k), np.int32), np.empty((len(queries), k), np.float32))
    )
