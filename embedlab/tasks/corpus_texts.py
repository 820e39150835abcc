"""A task's documents and their ids as sequences: the texts stay on disk and are rendered when they
are asked for, the ids are one numpy array of strings.
"""

from collections.abc import Iterator, Sequence
from copy import copy
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, overload

import numpy as np

from embedlab.compat.datasets_internals import table_rows
from embedlab.tasks import kept_corpora

if TYPE_CHECKING:
    from datasets import Dataset

_BLOCK = 2_048  # documents read at a time
_STRING = np.dtypes.StringDType()


class DocumentIds(Sequence[str]):
    """Ids by row, in descending order (or ascending, `reversed`): 16 bytes each, and what is longer
    than 15 beside it.
    """

    def __init__(self, ascending: np.ndarray, step: int = -1) -> None:
        self._ascending, self._step = ascending, step
        self._rows = ascending[::step]

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: "slice | np.ndarray") -> list[str]: ...
    def __getitem__(self, row: "int | slice | np.ndarray") -> str | list[str]:
        if isinstance(row, slice | np.ndarray):
            names: list[str] = self._rows[row].tolist()
            return names
        return str(self._rows[row])

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), _BLOCK):
            yield from self[start : start + _BLOCK]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(map(str.__eq__, self, other))

    __hash__ = None  # type: ignore[assignment]  # as a list

    def __reversed__(self) -> "DocumentIds":  # type: ignore[override]  # a sequence again
        return DocumentIds(self._ascending, -self._step)

    def ascending_rows(self) -> np.ndarray:
        """The rows from the smallest id to the greatest: int32 `[n]`."""
        return np.arange(len(self), dtype=np.int32)[:: self._step]

    def rows(self, names: Sequence[str]) -> np.ndarray:
        """The row of each name, -1 where there is none: int64 `[n]`."""
        if not len(self):
            return np.full(len(names), -1, dtype=np.int64)
        wanted, last = np.array(list(names), dtype=_STRING), len(self) - 1
        # numpy's own searchsorted (2.4) misses strings of more than 15 bytes.
        at, beyond = np.zeros(len(names), dtype=np.int64), np.full(len(names), last + 1)
        while (open := at < beyond).any():
            middle = (at + beyond) // 2
            less = self._ascending[np.minimum(middle, last)] < wanted
            at, beyond = np.where(open & less, middle + 1, at), np.where(less, beyond, middle)
        found = self._ascending[np.minimum(at, last)] == wanted
        return np.where(found & (at <= last), at if self._step > 0 else last - at, -1)


class CorpusTexts(Sequence[str]):
    """The documents of a data set as mteb renders them: title, blank, text.

    An array of rows, like a slice, gives a list; `reversed` and `at` give such a sequence again.

    Args:
        corpus: its documents have a text, and maybe a title.
        rows: of the data set, in the order of the sequence; all by default.
        texts: what is rendered already, for each row of the data set.
    """

    def __init__(
        self,
        corpus: "Dataset",
        rows: np.ndarray | None = None,
        texts: Sequence[str] | None = None,
    ) -> None:
        self._file, self._texts = _File(corpus), texts
        self._rows = np.arange(len(corpus), dtype=np.int32) if rows is None else rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: "slice | np.ndarray") -> list[str]: ...
    def __getitem__(self, row: "int | slice | np.ndarray") -> str | list[str]:
        if isinstance(row, slice | np.ndarray):
            return list(self.at(row))
        document: str = self._block(self._rows[[row]])[0]
        return document

    def __iter__(self) -> Iterator[str]:
        for rows in self._blocks():
            yield from self._block(rows)

    def __reversed__(self) -> Self:  # type: ignore[override]  # a sequence again
        return self.at(slice(None, None, -1))

    def at(self, rows: "slice | np.ndarray") -> Self:
        """The documents at these rows of the sequence, still on disk."""
        found = copy(self)
        found._rows = self._rows[rows]
        return found

    def parts(self) -> "CorpusParts":
        """Title and text of each document apart."""
        return CorpusParts(self._file.corpus, self._rows)

    def _blocks(self) -> Iterator[np.ndarray]:
        return (self._rows[at : at + _BLOCK] for at in range(0, len(self), _BLOCK))

    def _block(self, rows: np.ndarray) -> list[Any]:
        if self._texts is not None:
            return [self._texts[row] for row in rows.tolist()]
        read = self._file.read(rows)
        return [f"{title} {text}".strip() if title else text.strip() for title, text in read]


class CorpusParts(CorpusTexts):
    """The same documents as mappings with `title` and `text`."""

    def _block(self, rows: np.ndarray) -> list[Any]:
        return [{"title": title, "text": text} for title, text in self._file.read(rows)]


class _File:
    """Titles and texts of a data set, as its Arrow arrays have them."""

    def __init__(self, corpus: "Dataset") -> None:
        self.corpus = corpus

    def read(self, rows: np.ndarray) -> list[tuple[str, str]]:
        """Title and text at each of these rows of the data set."""
        places = rows if self._chosen is None else self._chosen[rows]
        order = np.argsort(places, kind="stable")  # the file from its beginning to its end
        chunks = np.searchsorted(self._starts, places[order], side="right") - 1
        within = (places[order] - self._starts[chunks]).tolist()
        found = [("", "")] * len(rows)
        titles, texts = self._columns
        for place, chunk, row in zip(order.tolist(), chunks.tolist(), within, strict=True):
            title = titles[chunk][row].as_py() if titles else ""
            found[place] = title or "", texts[chunk][row].as_py()
        kept_corpora.give_back()
        return found

    @cached_property
    def _chosen(self) -> np.ndarray | None:
        return table_rows(self.corpus)

    @cached_property
    def _columns(self) -> list[list[Any]]:
        table, there = self.corpus.data, self.corpus.column_names
        return [table.column(n).chunks if n in there else [] for n in ("title", "text")]

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.cumsum([0, *map(len, self._columns[1])])


def by_id(corpus: "Dataset") -> tuple[DocumentIds, np.ndarray]:
    """A corpus's ids in descending order, and the row that each has in it: int32 `[n]`."""
    ids = np.empty(len(corpus), dtype=_STRING)
    column: Any = corpus.select_columns(["id"])
    for start in range(0, len(corpus), _BLOCK):
        ids[start : start + _BLOCK] = column[start : start + _BLOCK]["id"]
    order = np.argsort(ids, kind="stable").astype(np.int32)
    return DocumentIds(ids[order]), order[::-1]
