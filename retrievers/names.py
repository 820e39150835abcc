"""Ids of documents by row, and rows by id, without an object of Python for each: about 30 bytes
and the id's own length, so that ten million take half a gigabyte.
"""

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
import xxhash

_BLOCK = 1 << 16  # names hashed, or handed out, at a time


class Names(Sequence[str]):
    """Texts by row: UTF-8 in one run of bytes, found again by their 64-bit hashes.

    Compares equal to any sequence of the same texts. It grows at its end alone.
    """

    __hash__ = None  # type: ignore[assignment]  # it grows

    def __init__(self, names: Sequence[str] = ()) -> None:
        self._bytes, self._count = bytearray(), 0
        self._ends = np.zeros(8, dtype=np.int64)
        # Sorted hashes and their rows: each pair of arrays at most half as long as the one before.
        self._found: list[tuple[np.ndarray, np.ndarray]] = []
        self.extend(names)

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: "slice | np.ndarray") -> list[str]: ...
    def __getitem__(self, row: "int | slice | np.ndarray") -> str | list[str]:
        if isinstance(row, slice):
            return [self._at(each) for each in range(*row.indices(self._count))]
        if isinstance(row, np.ndarray):
            return [self[each] for each in row.tolist()]
        if not -self._count <= row < self._count:
            raise IndexError(f"row {row} of {self._count}")
        return self._at(row % self._count)

    def __iter__(self) -> Iterator[str]:
        return map(self._at, range(self._count))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self.rows([name])[0] >= 0)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Names):
            ends = self._ends[: self._count], other._ends[: other._count]
            return self._bytes == other._bytes and np.array_equal(*ends)
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(map(str.__eq__, self, other))

    def __repr__(self) -> str:
        return f"Names({self[:10]}{' ...' if len(self) > 10 else ''})"

    def extend(self, names: Sequence[str]) -> None:
        """Names for the rows that follow."""
        content = [_encoded(name) for name in names]
        start, end = self._count, self._count + len(content)
        if end > len(self._ends):
            self._ends = np.concatenate([self._ends[:start], np.zeros(end, dtype=np.int64)])
        ends = np.cumsum(np.fromiter(map(len, content), np.int64, len(content)))
        self._ends[start:end] = ends + len(self._bytes)
        self._bytes += b"".join(content)
        self._count = end

    def at(self, rows: np.ndarray) -> "Names":
        """The names at these rows alone."""
        kept = Names()
        for start in range(0, len(rows), _BLOCK):
            kept.extend(self[rows[start : start + _BLOCK]])
        return kept

    def rows(self, names: Sequence[str]) -> np.ndarray:
        """The row of each name, the first of several; -1 where there is none: int64 `[n]`."""
        self._sort()
        found = np.full(len(names), -1, dtype=np.int64)
        content = [_encoded(name) for name in names]
        hashes = _hashes(content)
        for known, rows in reversed(self._found):  # earlier rows last, so that they stay
            at = np.searchsorted(known, hashes)
            there = known[np.minimum(at, len(known) - 1)] == hashes
            for place in np.flatnonzero(there & (at < len(known))).tolist():
                for row in rows[
                    at[place] : np.searchsorted(known, hashes[place], "right")
                ].tolist():
                    if self._raw(row) == content[place]:
                        found[place] = row
                        break
        return found

    def _sort(self) -> None:
        """Take in the hashes of what came since somebody last looked."""
        done = sum(len(rows) for _, rows in self._found)
        for start in range(done, self._count, _BLOCK):
            rows = np.arange(start, min(start + _BLOCK, self._count), dtype=np.int64)
            hashes = _hashes([self._raw(row) for row in rows.tolist()])
            while self._found and len(self._found[-1][1]) < 2 * len(rows):
                before = self._found.pop()
                hashes, rows = np.append(before[0], hashes), np.append(before[1], rows)
            order = np.argsort(hashes, kind="stable")
            self._found.append((hashes[order], rows[order]))

    def _raw(self, row: int) -> bytes:
        start = self._ends[row - 1] if row else 0
        return bytes(self._bytes[start : self._ends[row]])

    def _at(self, row: int) -> str:
        return self._raw(row).decode("utf-8", "surrogatepass")


def rows_in(ids: Sequence[str], names: Sequence[str]) -> np.ndarray:
    """The row of each name among `ids`, -1 where it is none of them: int64 `[n]`.

    What finds its names itself (`ids.rows`) is asked; others are walked through once.
    """
    if hasattr(ids, "rows"):
        found: np.ndarray = ids.rows(names)
        return found
    wanted = set(names)
    row_of = {name: row for row, name in enumerate(ids) if name in wanted}
    return np.array([row_of.get(name, -1) for name in names], dtype=np.int64)


def united(lists: Sequence[Sequence[str]]) -> tuple[Sequence[str], list[np.ndarray]]:
    """All names of several lists, each once, those of the first list first; and the row of each
    list's names among them: int64 `[n]`.
    """
    first = lists[0]
    if all(each == first for each in lists[1:]):
        return first, [np.arange(len(first))] * len(lists)
    names = Names()
    for each in lists:
        for start in range(0, len(each), _BLOCK):
            block = each[start : start + _BLOCK]
            fresh = np.flatnonzero(names.rows(block) < 0).tolist()
            names.extend([block[at] for at in fresh])
    return names, [names.rows(list(each)) for each in lists]


def _encoded(name: object) -> bytes:
    """UTF-8, of what is no text a byte that no text has."""
    return name.encode("utf-8", "surrogatepass") if isinstance(name, str) else b"\xff"


def _hashes(content: list[bytes]) -> np.ndarray:
    return np.fromiter(map(xxhash.xxh3_64_intdigest, content), np.uint64, len(content))
