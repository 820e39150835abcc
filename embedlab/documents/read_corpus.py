"""What reading documents gives: texts by id, and a list of what could not be read."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from embedlab.errors import UserError
from retrievers.texts import Document

_LISTED = 20


class Unread(NamedTuple):
    """Something that is no document of the corpus: where it stands, and why it was left out."""

    place: str
    reason: str


@dataclass(frozen=True)
class Corpus:
    """Documents by descending id, as an evaluation holds them: no answer depends on the order in
    which files or lines were read.
    """

    ids: list[str]
    documents: list[Document]
    unread: list[Unread] = field(default_factory=list)


def unread_lines(corpus: Corpus) -> list[str]:
    """What is said of that which could not be read: a count, then a line for each, at most 20."""
    if not corpus.unread:
        return []
    listed = [f"  {place}: {reason}" for place, reason in corpus.unread[:_LISTED]]
    further = len(corpus.unread) - _LISTED
    more = [f"  and {further:,} more"] if further > 0 else []
    count = len(corpus.unread)
    return [f"{count:,} {'was' if count == 1 else 'were'} left out:", *listed, *more]


class Gathered:
    """Documents while they are read.

    Args:
        ids: what to do about two documents of one id.
    """

    def __init__(self, ids: str) -> None:
        self._documents: dict[str, dict[str, Any]] = {}
        self._places: dict[str, str] = {}
        self._hint = ids
        self.unread: list[Unread] = []

    def add(self, id: str, document: dict[str, Any], place: str) -> None:
        """Take a document in.

        Raises:
            UserError: another has its id.
        """
        if id in self._documents:
            raise UserError(
                f"{place} gives the id {id!r} a second time; the first is {self._places[id]}.",
                self._hint,
            )
        self._documents[id], self._places[id] = document, place

    def leave_out(self, place: str, reason: str) -> None:
        self.unread.append(Unread(place, reason))

    def corpus(self) -> Corpus:
        ids = sorted(self._documents, reverse=True)
        return Corpus(ids, [self._documents[id] for id in ids], self.unread)

    def __len__(self) -> int:
        return len(self._documents)
