"""Equal scores where their order matters: the greater id first,
in whatever order the documents were indexed.

An index ranks equal scores by row, which is the order of a file. A fusion reads ranks, and a
reranker sees only what stands above its cut: to them a tie is a decision, and it must not change
with the order of lines. So they settle ties by id, as trec_eval does.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from scipy.sparse import csr_matrix

from retrievers import topk
from retrievers.search_types import Hits, Only, Queries


class Searched(Protocol):
    """What is asked of a `Retriever` here."""

    @property
    def ids(self) -> Sequence[str]: ...
    @property
    def settles_ties(self) -> bool: ...
    def search(self, queries: Queries, k: int, *, only: Only | None = None) -> Hits: ...


def search(retriever: Searched, queries: Queries, k: int, *, only: Only | None = None) -> Hits:
    """As `retriever.search`, with ties settled by id, those at the cut included."""
    if retriever.settles_ties:
        return retriever.search(queries, k, only=only)
    k = topk.check_k(k)
    fetch, hits = k + 1, retriever.search(queries, k + 1, only=only)
    best = by_id(Hits(hits.rows[:, :k], hits.scores[:, :k]), retriever.ids)
    # Queries whose last place is tied with what lies beyond.
    cut = np.flatnonzero(_runs_on(hits, k))
    while len(cut):
        fetch = 4 * fetch
        hits = retriever.search(taken(queries, cut), fetch, only=only)
        ordered = by_id(hits, retriever.ids)
        best.rows[cut], best.scores[cut] = ordered.rows[:, :k], ordered.scores[:, :k]
        cut = cut[_runs_on(hits, k)]
    return best


def by_id(hits: Hits, ids: Sequence[str]) -> Hits:
    """The same hits, those of equal score by descending id; always a copy."""
    rows, scores = hits.rows.copy(), hits.scores.copy()
    tied = (rows[:, 1:] >= 0) & (scores[:, 1:] == scores[:, :-1])
    queries = np.flatnonzero(tied.any(axis=1))
    if len(queries):
        part = rows[queries]
        known = np.unique(part[part >= 0])
        names = np.array([ids[row] for row in known.tolist()], dtype=np.dtypes.StringDType())
        rank = np.empty(len(known), dtype=np.int64)
        rank[np.argsort(names, kind="stable")] = np.arange(len(known))
        # Empty places come last anyway: their score is -inf.
        order = np.lexsort(
            (-rank[np.searchsorted(known, np.maximum(part, known[0]))], -scores[queries]), axis=-1
        )
        rows[queries] = np.take_along_axis(part, order, axis=1)
        scores[queries] = np.take_along_axis(scores[queries], order, axis=1)
    return Hits(rows, scores)


def _runs_on(hits: Hits, k: int) -> np.ndarray:
    """For each query whether the score at place `k` is still that of the last place."""
    tied: np.ndarray = (hits.rows[:, -1] >= 0) & (hits.scores[:, -1] == hits.scores[:, k - 1])
    return tied


def taken(queries: Queries, which: np.ndarray) -> Queries:
    """The queries at these places."""
    if isinstance(queries, Sequence):
        return [queries[q] for q in which]
    chosen: np.ndarray | csr_matrix = queries[which]
    return chosen
