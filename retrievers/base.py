"""What every retriever is: documents in, ranked rows out."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Hits(NamedTuple):
    """The answer to a batch of queries, best first.

    rows: int32 `[queries, k]`, positions in the retriever's `ids`; -1 marks an empty place, always at the end.
    scores: float32 `[queries, k]`; -inf where the row is -1.
    Order: score descending; equal scores by document row.
    """

    rows: np.ndarray
    scores: np.ndarray


class Retriever(ABC):
    """Documents in, ranked documents out.

    `ids` holds the document ids in the order of the rows that `search` returns.
    """

    ids: Sequence[str]

    @abstractmethod
    def index(self, ids: Sequence[str], documents) -> "Retriever":
        """Index `documents` (texts, a float array `[n, d]`, or a CSR matrix `[n, |V|]`) under `ids`; returns self."""

    @abstractmethod
    def search(self, queries, k: int) -> Hits:
        """The `k` best documents for each query (texts, a float array `[q, d]`, or a CSR matrix `[q, |V|]`)."""

    @abstractmethod
    def save(self, path: Path) -> None:
        """Write the index to the folder `path`, all or nothing."""

    @classmethod
    @abstractmethod
    def load(cls, path: Path) -> "Retriever":
        """Read an index that `save` wrote."""
