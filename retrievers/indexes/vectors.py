"""Vectors kept beside an index for rescoring:
references to the caller's chunks, or a mapped file.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

_ROWS = 50_000  # written at a time


def write_rows(
    path: Path, chunks: Iterable[np.ndarray], shape: tuple[int, int], dtype: DTypeLike
) -> None:
    """Write chunks of rows as one .npy file; not through a mapping,
    which would end the process on a full disk.
    """
    header = {
        "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
        "fortran_order": False,
        "shape": shape,
    }
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for chunk in chunks:
            for start in range(0, len(chunk), _ROWS):
                file.write(np.ascontiguousarray(chunk[start : start + _ROWS], dtype).data)


def signs(vectors: np.ndarray) -> np.ndarray:
    """One bit per dimension, uint8 `[n, d / 8]`."""
    return np.packbits(vectors > 0, axis=1)


class Vectors:
    """Rows of vectors in chunks, none of them copied;
    a chunk may be a memory-mapped file of a vector store.
    """

    def __init__(self) -> None:
        self._chunks: list[np.ndarray] = []
        self._starts = [0]

    def append(self, chunk: np.ndarray) -> None:
        self._chunks.append(chunk)
        self._starts.append(self._starts[-1] + len(chunk))

    @property
    def nbytes(self) -> int:
        """Bytes of all vectors, wherever they lie."""
        return sum(chunk.nbytes for chunk in self._chunks)

    def take(self, rows: np.ndarray) -> np.ndarray:
        """The vectors at `rows` (any shape) as float32 `[*rows.shape, d]`."""
        flat = rows.ravel()
        out = np.empty((len(flat), self._chunks[0].shape[1]), dtype=np.float32)
        owner = np.searchsorted(self._starts, flat, side="right") - 1
        for number in np.unique(owner):
            here = owner == number
            out[here] = self._chunks[number][flat[here] - self._starts[number]]
        return out.reshape(*rows.shape, -1)

    def keep(self, rows: np.ndarray) -> None:
        """Hold the vectors at `rows` (ascending) alone."""
        starts = self._starts
        owner = np.searchsorted(starts, rows, side="right") - 1
        chunks, self._chunks, self._starts = self._chunks, [], [0]
        for number, chunk in enumerate(chunks):
            here = rows[owner == number] - starts[number]
            if len(here):
                self.append(chunk[here])

    def save(self, path: Path) -> None:
        shape = (self._starts[-1], self._chunks[0].shape[1])
        write_rows(path, self._chunks, shape, self._chunks[0].dtype)

    @classmethod
    def load(cls, path: Path) -> "Vectors":
        vectors = cls()
        vectors.append(np.load(path, mmap_mode="r"))
        return vectors
