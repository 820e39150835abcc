"""Questions: JSON lines with an id and a question,
and where known its answers and the documents that hold them.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from embedlab.errors import UserError
from embedlab.tasks.beir import json_lines
from leaderboard.typed_values import Misfit, convert

LINE = (
    'A line reads {"id": "1", "question": "...", "answers": ["..."], "relevant": ["document-id"]}.'
)


@dataclass(frozen=True)
class _Line:
    """A line of the file, as JSON has it."""

    id: str | int | float
    question: str
    answers: list[str] | None = None
    relevant: list[str] | None = None


@dataclass(frozen=True)
class Question:
    """A question; `answers` are all that count as right,
    `relevant` the ids of documents that hold one.
    """

    id: str
    text: str
    answers: tuple[str, ...] = ()
    relevant: tuple[str, ...] = ()


def read(path: Path) -> list[Question]:
    """The questions in a file of JSON lines; answers and relevant may be absent.

    Raises:
        UserError: there is no such file, it holds no questions, or a line is malformed (file:line).
    """
    if not path.is_file():
        raise UserError(f"There is no file {path}.", LINE)
    questions: dict[str, Question] = {}
    for place, row in json_lines(path):
        for name in ("id", "question"):
            if not str(row.get(name) or "").strip():
                raise UserError(f'{place} has no "{name}".', LINE)
        try:
            line = convert(row, _Line)
        except Misfit as error:
            raise UserError(f"{place}: {error}.", LINE) from error
        lists = (tuple(values or ()) for values in (line.answers, line.relevant))
        question = Question(str(line.id), line.question, *lists)
        if question.id in questions:
            raise UserError(
                f"{place} gives the id {question.id!r} a second time.",
                "Ids are unique within a file.",
            )
        questions[question.id] = question
    if not questions:
        raise UserError(f"{path} holds no questions.", LINE)
    return list(questions.values())


def digest(questions: list[Question]) -> str:
    """The revision of a set of questions:
    the same content has the same one, whatever its file is called.
    """
    return hashlib.sha256(repr(questions).encode("utf-8", "surrogatepass")).hexdigest()[:16]
