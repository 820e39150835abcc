"""What an index refuses: another encoder's vectors, ids that it does not hold."""

from collections.abc import Collection, Container
from pathlib import Path

from retrievers.errors import RetrieverError


def check_encoder(path: Path, made_by: str, wanted: str | None) -> None:
    """Refuse an index whose vectors another encoder made."""
    if wanted and made_by and wanted != made_by:
        raise RetrieverError(
            f"The index at {path} was made with the encoder {made_by!r}, not {wanted!r}.",
            f"Load it with {made_by!r}, or build an index with {wanted!r}.",
        )


def check_filter(only: Collection[str], known: Container[str]) -> None:
    """Refuse a filter by ids that are not indexed."""
    if isinstance(only, str):  # a collection too, of letters
        raise RetrieverError(f"The filter {only!r} is one text.", "Give a list of ids.")
    unknown = [name for name in only if name not in known]
    if unknown:
        raise RetrieverError(
            f"{len(unknown)} ids of the filter are not in the index, such as {unknown[0]!r}.",
            "Filter by ids that were indexed.",
        )


def check_new(ids: Collection[str], known: Collection[str]) -> None:
    """Refuse to add what is there, before one of several parts has taken it.

    Raises:
        RetrieverError: one of the ids is known.
    """
    if there := set(ids).intersection(known):
        raise already_indexed(min(there))


def already_indexed(name: str) -> RetrieverError:
    """The error of a document whose id another has."""
    return RetrieverError(
        f"The id {name!r} occurs twice: a document of it is indexed already.",
        "Give each document an id of its own, or replace the one that is there.",
    )


def check_indexed(ids: Collection[str], known: Collection[str]) -> None:
    """Refuse to delete what is not there, or everything.

    Raises:
        RetrieverError: `ids` is one text, one of them is unknown, or no other is known.
    """
    if isinstance(ids, str):  # a collection too, of letters
        raise RetrieverError(f"The ids {ids!r} are one text.", "Give a list of ids.")
    unknown = [name for name in ids if name not in known]
    if unknown:
        raise RetrieverError(
            f"{len(unknown)} of the ids are not in the index, such as {unknown[0]!r}.",
            "Delete documents that are indexed. Nothing was changed.",
        )
    if known and len(set(ids)) == len(known):
        raise RetrieverError(
            "No document would be left, and an index holds one at least.",
            "Remove its folder, or index another corpus in its place.",
        )


def saved_ids(path: Path, ids: object) -> list[str]:
    """What a saved index calls its ids."""
    if (
        not isinstance(ids, list)
        or not all(isinstance(id, str) and id for id in ids)
        or len(set(ids)) != len(ids)
    ):
        raise RetrieverError(
            f"The ids of the index at {path} are not texts, each once.", "Build it again."
        )
    return ids
