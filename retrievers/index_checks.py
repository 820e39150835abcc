"""What an index refuses: another encoder's vectors, ids that it does not hold."""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from retrievers.errors import RetrieverError
from retrievers.names import Names, rows_in
from retrievers.search_types import Only


def check_encoder(path: Path, made_by: str, wanted: str | None) -> None:
    """Refuse an index whose vectors another encoder made."""
    if wanted and made_by and wanted != made_by:
        raise RetrieverError(
            f"The index at {path} was made with the encoder {made_by!r}, not {wanted!r}.",
            f"Load it with {made_by!r}, or build an index with {wanted!r}.",
        )


def filtered_rows(only: Collection[str], ids: Sequence[str]) -> np.ndarray:
    """The rows of the documents that a filter names: int64, ascending, each once.

    Raises:
        RetrieverError: an id is not indexed.
    """
    if isinstance(only, str):  # a collection too, of letters
        raise RetrieverError(f"The filter {only!r} is one text.", "Give a list of ids.")
    names = list(only)
    rows = rows_in(ids, names)
    if len(unknown := [names[place] for place in np.flatnonzero(rows < 0)]):
        raise RetrieverError(
            f"{len(unknown)} ids of the filter are not in the index, such as {unknown[0]!r}.",
            "Filter by ids that were indexed.",
        )
    return np.unique(rows)


def allowed_rows(only: Only, ids: Sequence[str]) -> np.ndarray:
    """The rows of the documents of these `ids` that a search is limited to: int64, ascending, each
    once.

    Raises:
        RetrieverError: an id is not indexed, or there is no such row.
    """
    count = len(ids)
    if isinstance(only, np.ndarray) and only.dtype.kind in "iu":
        rows = np.unique(only.astype(np.int64))
        if len(rows) and not 0 <= rows[0] <= rows[-1] < count:
            raise RetrieverError(
                f"The filter names the rows {rows[0]} to {rows[-1]} of {count} documents.",
                f"Rows are 0 to {count - 1}.",
            )
        return rows
    return filtered_rows(only, ids)


def check_new(ids: Sequence[str], known: Sequence[str]) -> None:
    """Refuse to add what is there, before one of several parts has taken it.

    Raises:
        RetrieverError: one of the ids is known.
    """
    names = list(ids)
    if len(there := np.flatnonzero(rows_in(known, names) >= 0)):
        name = min(names[place] for place in there)
        raise RetrieverError(
            f"The id {name!r} occurs twice: a document of it is indexed already.",
            "Give each document an id of its own, or replace the one that is there.",
        )


def check_indexed(ids: Collection[str], known: Sequence[str]) -> None:
    """Refuse to delete what is not there, or everything.

    Raises:
        RetrieverError: `ids` is one text, one of them is unknown, or no other is known.
    """
    if isinstance(ids, str):  # a collection too, of letters
        raise RetrieverError(f"The ids {ids!r} are one text.", "Give a list of ids.")
    names = list(ids)
    if unknown := [names[place] for place in np.flatnonzero(rows_in(known, names) < 0)]:
        raise RetrieverError(
            f"{len(unknown)} of the ids are not in the index, such as {unknown[0]!r}.",
            "Delete documents that are indexed. Nothing was changed.",
        )
    if known and len(set(names)) == len(known):
        raise RetrieverError(
            "No document would be left, and an index holds one at least.",
            "Remove its folder, or index another corpus in its place.",
        )


def saved_ids(path: Path, ids: object) -> Names:
    """What a saved index calls its ids."""
    if (
        not isinstance(ids, list)
        or not all(isinstance(id, str) and id for id in ids)
        or len(set(ids)) != len(ids)
    ):
        raise RetrieverError(
            f"The ids of the index at {path} are not texts, each once.", "Build it again."
        )
    return Names(ids)
