"""Questions: what they ask, their answers where known, and the documents that hold these."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from retrievers.texts import Document


@dataclass(frozen=True)
class Question:
    """A question; `answers` are all that count as right, `relevant` the ids of documents that hold
    one. answerable: False where it is known that no document answers it.
    """

    id: str
    text: str
    answers: tuple[str, ...] = ()
    relevant: tuple[str, ...] = ()
    answerable: bool = field(default=True, repr=False)


@dataclass(frozen=True)
class QuestionSet:
    """Questions under a name, and the documents where they bring their own.

    documents: by id, where they stand in the questions' own file; corpus: their folder or file.
    own_ids: whether `relevant` names documents of these alone: in another index they may be
    missing.
    """

    name: str
    questions: list[Question]
    documents: dict[str, Document] = field(default_factory=dict)
    corpus: Path | None = None
    own_ids: bool = False


def digest(questions: Sequence[Question]) -> str:
    """The revision of a set of questions:
    the same content has the same one, whatever its file is called.
    """
    content: list[Any] = list(questions)
    if unanswerable := [each.id for each in questions if not each.answerable]:
        content.append(unanswerable)
    return hashlib.sha256(repr(content).encode("utf-8", "surrogatepass")).hexdigest()[:16]
