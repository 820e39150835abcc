"""An exact index that is nothing but a matrix."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from retrievers import topk
from retrievers.base import Hits
from retrievers.errors import RetrieverError
from retrievers.indexes.dense import DenseIndex


@dataclass(eq=False)
class NumpyIndex(DenseIndex):
    """All vectors in one float32 matrix; `bits=16` halves it."""

    family: ClassVar[str] = "numpy"  # the name of the entry point

    bits: int = 32  # a setting: --index numpy,bits=16

    def __post_init__(self) -> None:
        if self.bits not in (16, 32, 64):
            raise RetrieverError(f"The setting bits is {self.bits}.", "It is 16, 32 or 64.")
        super().__post_init__()

    @property
    def exact(self) -> bool:
        return self.bits >= 32

    def _clear(self) -> None:
        super()._clear()
        self._vectors = np.empty((0, 0), f"float{self.bits}")

    def _add(self, vectors: np.ndarray) -> None:
        self._dim = vectors.shape[1]
        new = self._prepared(vectors).astype(self._vectors.dtype)
        self._vectors = np.concatenate([self._vectors.reshape(-1, self._dim), new])

    def _search(self, queries: np.ndarray, k: int, rows: np.ndarray | None) -> Hits:
        rows = np.arange(len(self._vectors)) if rows is None else rows
        documents = self._vectors[rows].astype(np.float32)
        return topk.top(topk.similarity(self._prepared(queries), documents, self.metric), k, rows)

    def memory_bytes(self) -> int:
        return self._vectors.nbytes

    def _write(self, target: Path) -> None:
        np.save(target / "vectors.npy", self._vectors)

    def _read(self, path: Path) -> None:
        self._vectors = np.load(path / "vectors.npy")
        self._expect(len(self._vectors), "vectors")
        self._dim = self._vectors.shape[1]
