"""Exact late interaction: every document is scored by MaxSim."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from retrievers import topk
from retrievers.base import Hits
from retrievers.indexes.late_base import LateIndex
from retrievers.token_vectors import TokenVectors

_QUERY_TOKENS = 4_096  # scored together
_DOCUMENTS = 4_096


@dataclass(eq=False)
class MaxSimIndex(LateIndex):
    """Token vectors as they are, or with `bits` and `pool` in codes; every document is scored."""

    family: ClassVar[str] = "maxsim"
    updatable: ClassVar[bool] = True

    @property
    def exact(self) -> bool:
        return self.bits == 32 and self.pool == 1

    @property
    def scan_bytes(self) -> float:
        return self.bits / 8 / self.pool

    def _add(self, documents: TokenVectors) -> None:
        self._kept(documents)

    def _search(self, queries: TokenVectors, k: int, rows: np.ndarray | None) -> Hits:
        rows = np.arange(len(self.ids)) if rows is None else rows
        answers = [
            self._search_batch(queries[batch], k, rows) for batch in queries.groups(_QUERY_TOKENS)
        ]
        return Hits(
            np.concatenate([each.rows for each in answers]) if answers else np.empty((0, k)),
            np.concatenate([each.scores for each in answers]) if answers else np.empty((0, k)),
        )

    def _search_batch(self, queries: TokenVectors, k: int, rows: np.ndarray) -> Hits:
        best: Hits | None = None
        for start in range(0, len(rows), _DOCUMENTS):
            hits = self._ranked(queries, k, rows[start : start + _DOCUMENTS])
            best = hits if best is None else topk.merge(best, hits, k)
        assert best is not None  # an empty filter is answered by `search`
        return best
