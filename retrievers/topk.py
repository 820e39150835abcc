"""Top-k on arrays, with one rule for ties everywhere: score descending, then row."""

from typing import Literal

import numpy as np
from scipy.spatial.distance import cdist

from retrievers.errors import RetrieverError
from retrievers.search_types import Hits

# Metric -> scipy's word.
_DISTANCES: dict[str, Literal["euclidean", "cityblock"]] = {"l2": "euclidean", "l1": "cityblock"}


def check_k(k: int) -> int:
    """The number of documents asked for.

    Raises:
        RetrieverError: it is no whole number, or below 1.
    """
    if not isinstance(k, int | np.integer) or k < 1:
        raise RetrieverError(f"k is {k!r}.", "Ask for 1 document or more.")
    return int(k)


def top(scores: np.ndarray, k: int, rows: np.ndarray | None = None) -> Hits:
    """The `k` best columns of `scores` `[q, n]`; ties, also those at the cut, go to the lower row.

    `rows` (ascending, `[n]`) names the columns' rows; by default a column is its own row.
    """
    n = scores.shape[1]
    k = min(k, n)
    if k == 0:
        return pad(
            Hits(np.empty((len(scores), 0), np.int32), np.empty((len(scores), 0), np.float32)), 0
        )
    if k < n:
        columns = np.argpartition(scores, n - k, axis=1)[:, n - k :]
        cut = np.take_along_axis(scores, columns, axis=1).min(axis=1)
        for q in np.flatnonzero((scores >= cut[:, None]).sum(axis=1) > k):
            tied = np.flatnonzero(scores[q] == cut[q])
            above = np.flatnonzero(scores[q] > cut[q])
            columns[q] = np.concatenate([above, tied[: k - len(above)]])
    else:
        columns = np.broadcast_to(np.arange(n), scores.shape)
    values = np.take_along_axis(scores, columns, axis=1)
    return best(columns if rows is None else rows[columns], values, k)


def best(rows: np.ndarray, scores: np.ndarray, k: int) -> Hits:
    """The `k` best of candidates `[q, c]` in their final order;
    candidates with row -1 come last.
    """
    rows = np.asarray(rows)
    scores = np.where(rows < 0, -np.inf, scores).astype(np.float32)
    order = np.lexsort((rows, -scores), axis=-1)[:, :k]
    return Hits(
        np.take_along_axis(rows, order, axis=1).astype(np.int32),
        np.take_along_axis(scores, order, axis=1),
    )


def merge(first: Hits, second: Hits, k: int) -> Hits:
    """The `k` best of two answers about different documents."""
    return best(np.hstack([first.rows, second.rows]), np.hstack([first.scores, second.scores]), k)


def pad(hits: Hits, k: int) -> Hits:
    """The same answer with exactly `k` places."""
    missing = max(0, k - hits.rows.shape[1])
    rows = np.pad(hits.rows[:, :k], ((0, 0), (0, missing)), constant_values=-1)
    scores = np.pad(hits.scores[:, :k], ((0, 0), (0, missing)), constant_values=-np.inf)
    return Hits(rows.astype(np.int32), scores.astype(np.float32))


def similarity(queries: np.ndarray, documents: np.ndarray, metric: str) -> np.ndarray:
    """Scores `[q, n]`, higher is better; vectors are already normalised where the metric is cosine.

    Distances are taken difference by difference: from inner products they would be lost far from
    the origin, where two large numbers nearly cancel.
    """
    if metric in _DISTANCES:
        return -cdist(queries, documents, _DISTANCES[metric]).astype(np.float32)
    products: np.ndarray = queries @ documents.T
    return products
