"""What the Lucene indexes share: adding, searching by threads, saving."""

import os
from abc import abstractmethod
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from retrievers import topk
from retrievers.base import Hits
from retrievers.indexes._jvm import Java, detach, in_java
from retrievers.indexes.base_index import Content, Index
from retrievers.indexes.lucene_store import LuceneStore, numbered
from retrievers.search_types import count_of


@dataclass(eq=False)
class LuceneBase(Index):
    """What the Lucene indexes share. `threads` searches run at a time; 0 takes one per core."""

    ranges: ClassVar[Mapping[str, tuple[float, float]]] = {"threads": (0, inf)}

    updatable: ClassVar[bool] = True

    threads: int = 0

    @in_java
    def _clear(self) -> None:
        # What each document has in its field "row": its row, until others before it are deleted.
        self._numbers: np.ndarray = np.empty(0, dtype=np.int64)
        self._store = LuceneStore(self._analyzer(), self._similarity())

    @in_java
    def finish(self) -> None:
        self._store.searcher()

    @in_java
    def _add(self, documents: Content) -> None:
        count = count_of(documents)
        first = int(self._numbers[-1]) + 1 if len(self._numbers) else 0
        self._write_documents(documents, first)
        self._numbers = np.append(self._numbers, np.arange(first, first + count))

    @in_java
    def _keep(self, rows: np.ndarray) -> None:
        self._store.delete(np.delete(self._numbers, rows).tolist())
        self._numbers = self._numbers[rows]

    def _search(self, queries: Content, k: int, rows: np.ndarray | None) -> Hits:
        count = count_of(queries)
        answers = self._searched(queries, count, k, rows)
        hits = Hits(np.full((count, k), -1, np.int32), np.full((count, k), -np.inf, np.float32))
        for q, (best, scores) in enumerate(answers):
            hits.rows[q, : len(best)], hits.scores[q, : len(best)] = best, scores
        return topk.best(*hits, k)

    @in_java
    def _searched(
        self, queries: Content, count: int, k: int, rows: np.ndarray | None
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        allowed = None if rows is None else numbered(self._numbers[rows].tolist())
        self._store.searcher()
        return self._answers([self._query(queries[q], k, allowed) for q in range(count)], k)

    def _answers(self, queries: list[Java], k: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Rows and scores for each Lucene query.
        The threads call one searcher and one writer, which is safe.
        """
        workers = min(self.threads or os.cpu_count() or 1, len(queries))
        if workers <= 1:
            return [self._store.search(query, k) for query in queries]

        def work(part: list[Java]) -> list[tuple[np.ndarray, np.ndarray]]:
            try:
                return [self._store.search(query, k) for query in part]
            finally:
                detach()

        with ThreadPoolExecutor(workers) as pool:
            parts = list(pool.map(work, [queries[w::workers] for w in range(workers)]))
        return [parts[q % workers][q // workers] for q in range(len(queries))]

    def memory_bytes(self) -> int:
        """The size of the index files, which Lucene maps into memory."""
        self.finish()
        return self._store.bytes()

    @in_java
    def _write(self, target: Path) -> None:
        self._store.save(target / "lucene")
        if self._numbers[-1] >= len(self._numbers):  # else they are the rows
            np.save(target / "numbers.npy", self._numbers)

    @in_java
    def _read(self, path: Path) -> None:
        self._store.open(path / "lucene")
        self._expect(self._store.count(), "documents")
        file = path / "numbers.npy"
        self._numbers = np.load(file) if file.exists() else np.arange(len(self.ids))
        self._expect(len(self._numbers), "numbers of documents")

    @abstractmethod
    def _analyzer(self) -> None: ...

    def _similarity(self) -> Java:
        """How Lucene scores; None for its own way."""
        return None

    @abstractmethod
    def _write_documents(self, documents: Content, first: int) -> None:
        """Write `documents` with the store's writer, numbered from `first` in the field "row"."""

    @abstractmethod
    def _query(self, query: Any, k: int, allowed: Java) -> Java:
        """The Lucene query for one query,
        limited by the Lucene query `allowed` if that is not None.
        """
