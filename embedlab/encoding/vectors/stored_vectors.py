"""Vectors of a list of texts as the vector store has them."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix, vstack

from embedlab.encoding.vectors import shards
from embedlab.encoding.vectors.shards import Shard
from retrievers.token_vectors import Rows, TokenVectors


class Seconds(NamedTuple):
    """All that was spent, and the part of it that was not measured
    but derived of a pass through several layers.
    """

    all: float
    derived: float


class Vectors:
    """Vectors of a list of texts, gathered from memory-mapped shards chunk by chunk.

    `len()` is the number of texts; `dim` the width; `sparse` and `late` tell CSR matrices and token
    vectors from dense ones.
    """

    def __init__(self, folder: Path, listed: list[Shard], place: np.ndarray) -> None:
        self._folder, self._shards, self._place = folder, listed, place
        self.sparse = bool(listed) and "data" in listed[0].files
        self.late = bool(listed) and "codes" in listed[0].files

    def __len__(self) -> int:
        return len(self._place)

    @property
    def dim(self) -> int:
        if not self._shards:
            return 0
        first = self._shards[0]
        return int(
            shards.read(self._folder, first, "width")[0]
            if self.sparse
            else shards.read(self._folder, first, "codes" if self.late else "dense").shape[1]
        )

    def read(self, start: int = 0, stop: int | None = None) -> Rows:
        """Rows start to stop as float32 `[n, d]`, as a CSR matrix, or as token vectors in the
        store's codes.
        """
        place = self._place[start:stop]
        order = np.argsort(place[:, 0], kind="stable")
        numbers, first = np.unique(place[order, 0], return_index=True)
        groups = np.split(order, first[1:])
        if self.sparse:
            blocks = [
                self._csr(number)[place[group, 1]]
                for number, group in zip(numbers, groups, strict=True)
            ]
            if not blocks:
                return csr_matrix(np.empty((0, self.dim), dtype=np.float32))
            return csr_matrix(
                vstack(blocks, format="csr")[np.argsort(np.concatenate(groups), kind="stable")]
            )
        if self.late:
            texts = [
                self._tokens(number)[place[group, 1]]
                for number, group in zip(numbers, groups, strict=True)
            ]
            if not texts:
                return TokenVectors(np.empty((0, self.dim), np.float32), np.zeros(1, np.int64))
            return TokenVectors.joined(texts)[np.argsort(np.concatenate(groups), kind="stable")]
        vectors = np.empty((len(place), self.dim), dtype=np.float32)
        for number, group in zip(numbers, groups, strict=True):
            block = shards.read(self._folder, self._shards[number], "dense")
            vectors[group] = block[place[group, 1]]
        return vectors

    def chunks(self, size: int = 16_384) -> Iterator[Rows]:
        """All rows in order, `size` at a time."""
        for start in range(0, len(self), size):
            yield self.read(start, start + size)

    def tokens(self) -> np.ndarray:
        """Tokens of each text, int32 `[n]`."""
        counts = np.empty(len(self), dtype=np.int32)
        for number in np.unique(self._place[:, 0]):
            rows = self._place[:, 0] == number
            counts[rows] = shards.read(self._folder, self._shards[number], "tokens")[
                self._place[rows, 1]
            ]
        return counts

    def seconds(self) -> "Seconds":
        """What encoding these texts took when it was done:
        each shard's time, shared out by tokens.
        """
        total, derived, counts = 0.0, 0.0, self.tokens()
        for number in np.unique(self._place[:, 0]):
            rows = self._place[:, 0] == number
            # A text that comes twice was encoded once.
            _, distinct = np.unique(self._place[rows, 1], return_index=True)
            of_shard = int(
                np.sum(shards.read(self._folder, self._shards[number], "tokens"), dtype=np.int64)
            )
            shard = self._shards[number]
            share = counts[rows][distinct].sum() / of_shard if of_shard else 0.0
            if not of_shard:  # nobody counted
                share = len(distinct) / max(shard.rows, 1)
            spent = float(shard.seconds * share)
            total, derived = total + spent, derived + spent * shard.derived
        return Seconds(total, derived)

    def _csr(self, number: int) -> csr_matrix:
        data, indices, indptr = (
            np.asarray(shards.read(self._folder, self._shards[number], part))
            for part in ("data", "indices", "indptr")
        )
        return csr_matrix(
            (data.astype(np.float32), indices, indptr), shape=(len(indptr) - 1, self.dim)
        )

    def _tokens(self, number: int) -> TokenVectors:
        shard = self._shards[number]
        codes, offsets = (shards.read(self._folder, shard, part) for part in ("codes", "offsets"))
        factors = shards.read(self._folder, shard, "factors") if "factors" in shard.files else None
        bits = 8 * codes.dtype.itemsize
        return TokenVectors(codes, np.asarray(offsets), bits=bits, factors=factors)
