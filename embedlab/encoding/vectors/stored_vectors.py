"""Vectors of a list of texts as the vector store has them."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

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
    """Vectors of a list of texts, gathered from memory-mapped shards block by block.

    `len()` is the number of texts; `dim` the width; `sparse` and `late` tell CSR matrices and token
    vectors from dense ones.

    Args:
        folder: of the space.
        listed: its shards.
        place: shard and row of each text, int32 `[n, 2]`.
    """

    def __init__(self, folder: Path, listed: list[Shard], place: np.ndarray) -> None:
        self._folder, self._shards, self._place = folder, listed, place
        self._last: tuple[int, Any] | None = None  # the shard that was read last, still open
        self.sparse = bool(listed) and "data" in listed[0].files
        self.late = bool(listed) and "codes" in listed[0].files

    def __len__(self) -> int:
        return len(self._place)

    @cached_property
    def dim(self) -> int:
        if not self._shards:
            return 0
        # Of shards that no text is in, the files may be in an object store.
        first = self._shards[self._place[0, 0] if len(self) else 0]
        return int(
            shards.read(self._folder, first, "width")[0]
            if self.sparse
            else shards.read(self._folder, first, "codes" if self.late else "dense").shape[1]
        )

    @property
    def components(self) -> int:
        """Numbers that these texts' vectors hold, of sparse ones what is not 0, about."""
        if self.late:
            return int(self.tokens().sum(dtype=np.int64)) * self.dim
        if not self.sparse:
            return len(self) * self.dim
        texts = np.bincount(self._place[:, 0], minlength=len(self._shards)).tolist()
        of_each = (shard.files["data"][0] / 4 / max(shard.rows, 1) for shard in self._shards)
        return int(sum(count * size for count, size in zip(texts, of_each, strict=True)))

    def read(self, start: int = 0, stop: int | None = None) -> Rows:
        """Rows start to stop as float32 `[n, d]`, as a CSR matrix, or as token vectors in the
        store's codes.
        """
        return self._gathered(self._place[start:stop])

    def at(self, rows: np.ndarray) -> Rows:
        """These rows, as `read` gives them."""
        return self._gathered(self._place[rows])

    def chunks(self, size: int = 16_384) -> Iterator[Rows]:
        """All rows in order, `size` at a time. Each chunk may read of every shard; who can take
        them in any order asks for `blocks`.
        """
        for start in range(0, len(self), size):
            yield self.read(start, start + size)

    def blocks(self, size: int = 16_384) -> Iterator[tuple[np.ndarray, Rows]]:
        """All rows in the order in which the store has them, `size` at a time: their places in the
        list, ascending within a block, and their vectors. Each shard is opened once.
        """
        order = np.argsort(self._place[:, 0], kind="stable")
        for start in range(0, len(order), size):
            rows = np.sort(order[start : start + size])
            yield rows, self._gathered(self._place[rows])
        self._last = None

    def tokens(self) -> np.ndarray:
        """Tokens of each text, int32 `[n]`."""
        counts = np.empty(len(self), dtype=np.int32)
        for number, group in _by_shard(self._place):
            tokens = shards.read(self._folder, self._shards[number], "tokens")
            counts[group] = tokens[self._place[group, 1]]
        return counts

    def seconds(self) -> "Seconds":
        """What encoding these texts took when it was done:
        each shard's time, shared out by tokens.
        """
        total, derived = 0.0, 0.0
        for number, group in _by_shard(self._place):
            shard = self._shards[number]
            tokens = shards.read(self._folder, shard, "tokens")
            # A text that comes twice was encoded once.
            here, of_shard = np.unique(self._place[group, 1]), int(tokens.sum(dtype=np.int64))
            # Where nobody counted tokens, each text counts as much.
            share = tokens[here].sum() / of_shard if of_shard else len(here) / max(shard.rows, 1)
            spent = float(shard.seconds * share)
            total, derived = total + spent, derived + spent * shard.derived
        return Seconds(total, derived)

    def _gathered(self, place: np.ndarray) -> Rows:
        """The vectors at these places, in their order."""
        groups = list(_by_shard(place))
        if not (self.sparse or self.late):
            vectors = np.empty((len(place), self.dim), dtype=np.float32)
            for number, group in groups:
                vectors[group] = self._opened(number)[place[group, 1]]
            return vectors
        if not groups:
            nothing = np.empty((0, self.dim), dtype=np.float32)
            return csr_matrix(nothing) if self.sparse else TokenVectors(nothing, np.zeros(1, int))
        parts = [self._opened(number)[place[group, 1]] for number, group in groups]
        back = np.argsort(np.concatenate([group for _, group in groups]))
        if self.sparse:
            return csr_matrix(vstack(parts, format="csr")[back])
        return TokenVectors.joined(parts)[back]

    def _opened(self, number: int) -> Any:
        """A shard's vectors, none of them read yet."""
        last = self._last
        if last is None or last[0] != number:
            read = self._csr if self.sparse else self._tokens if self.late else self._dense
            last = self._last = number, read(number)
        return last[1]

    def _dense(self, number: int) -> np.ndarray:
        return shards.read(self._folder, self._shards[number], "dense")

    def _csr(self, number: int) -> csr_matrix:
        data, indices, indptr = (
            shards.read(self._folder, self._shards[number], part)
            for part in ("data", "indices", "indptr")
        )
        return csr_matrix(
            (data.astype(np.float32, copy=False), indices, indptr),
            shape=(len(indptr) - 1, self.dim),
        )

    def _tokens(self, number: int) -> TokenVectors:
        shard = self._shards[number]
        codes, offsets = (shards.read(self._folder, shard, part) for part in ("codes", "offsets"))
        factors = shards.read(self._folder, shard, "factors") if "factors" in shard.files else None
        bits = 8 * codes.dtype.itemsize
        return TokenVectors(codes, np.asarray(offsets), bits=bits, factors=factors)


def _by_shard(place: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Each shard among places `[n, 2]`, ascending, with where it stands there, ascending."""
    if not len(place):
        return
    order = np.argsort(place[:, 0], kind="stable")
    ends = np.flatnonzero(np.diff(place[order, 0])) + 1
    for group in np.split(order, ends):
        yield int(place[group[0], 0]), group
