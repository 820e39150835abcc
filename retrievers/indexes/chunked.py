"""Search of vectors that never lie in memory together:
block by block, the best merged as arrays.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from retrievers import topk
from retrievers.base import Documents, Hits, Queries
from retrievers.indexes.base_index import Index
from retrievers.search_types import count_of


def search_stream(
    index: Index, blocks: Iterable[tuple[np.ndarray, Documents]], queries: Queries, k: int
) -> Hits:
    """Search blocks of documents in turn; the answer equals that of one index over all of them,
    whatever the order of the blocks.

    Args:
        index: one whose `scan_bytes` are not 0: an empty one, or one that has learned.
        blocks: rows of documents, ascending, and their vectors; only one is held at a time.
        queries: vectors.
        k: documents per query.
    """
    found = (search_block(index, rows, documents, queries, k) for rows, documents in blocks)
    return merged(found, count_of(queries), k)


def search_block(
    index: Index, rows: np.ndarray, documents: Documents, queries: Queries, k: int
) -> Hits:
    """The best of one block; `rows` are its documents' among all."""
    hits = index.search_block(documents, queries, k)
    return Hits(np.where(hits.rows >= 0, rows[hits.rows], -1).astype(np.int32), hits.scores)


def merged(answers: Iterable[Hits], queries: int, k: int) -> Hits:
    """The best of what was found in all blocks, for so many queries."""
    none = np.empty((queries, 0))
    best = Hits(none.astype(np.int32), none.astype(np.float32))
    for hits in answers:
        best = topk.merge(best, _promising(hits, best, k), k)
    return topk.pad(best, k)


def numbered(chunks: Iterable[Any]) -> Iterator[tuple[np.ndarray, Any]]:
    """Chunks in document order, with the rows of their documents."""
    start = 0
    for chunk in chunks:
        stop = start + count_of(chunk)
        yield np.arange(start, stop), chunk
        start = stop


def _promising(hits: Hits, best: Hits, k: int) -> Hits:
    """The places of a block's answer that can be among the best: of most blocks, few."""
    if best.rows.shape[1] < k or not len(hits.rows):
        return hits
    width = int((hits.scores >= best.scores[:, -1:]).sum(axis=1).max())
    return Hits(hits.rows[:, :width], hits.scores[:, :width])
