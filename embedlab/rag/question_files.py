"""Files of questions: JSON lines, a JSON list, SQuAD's own object, a BEIR folder; all may be packed
(.gz). What is wrong is said with its place.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain, count
from pathlib import Path
from typing import Any

from embedlab.errors import UserError
from embedlab.rag.question_forms import FORMS, LINE, Row, recognised, squad
from embedlab.rag.questions import Question, QuestionSet
from embedlab.tasks import beir
from leaderboard.errors import Malformed
from leaderboard.exchange.qrels import read_qrels
from leaderboard.plain_json import from_json
from leaderboard.typed_values import Misfit
from retrievers.texts import Document


def read(path: Path, form: str = "") -> QuestionSet:
    """The questions in a file.

    Args:
        form: one of `FORMS`; by default that of the first row.

    Raises:
        UserError: a row is malformed, or an id comes twice (file and place).
    """
    questions: dict[str, Question] = {}
    documents: dict[str, Document] = {}
    content = _content(path)
    if isinstance(content, dict):
        form, rows = form or "squad", _of_squad(path, content, form)
    else:
        first = next(iter(content), None)
        form = form or (recognised(first[1]) if first else "embedlab")
        rows = _by_row(content, form)
    for place, row in rows:
        asked = row.question
        for name, value in (("id", asked.id), ("question", asked.text)):
            if not value.strip():
                raise UserError(f'{place} has no "{name}".', _hint(form))
        if asked.id in questions:
            raise UserError(
                f"{place} gives the id {asked.id!r} a second time.",
                "Ids are unique within a file.",
            )
        names = {id: _free(id, each, documents) for id, each in row.documents.items()}
        relevant = tuple(names.get(id, id) for id in asked.relevant)
        questions[asked.id] = replace(asked, relevant=relevant)
        documents |= {names[id]: each for id, each in row.documents.items()}
    name = path.name.removesuffix(".gz").removesuffix(".jsonl").removesuffix(".json")
    return QuestionSet(name, list(questions.values()), documents, None, FORMS[form].own_ids)


def _free(id: str, document: Document, documents: Mapping[str, Document]) -> str:
    """The id; a further one where another document has it: not all that have one title are one."""
    names = chain([id], (f"{id} ({number})" for number in count(2)))
    return next(name for name in names if documents.get(name, document) == document)


def read_beir(folder: Path, split: str = "") -> QuestionSet:
    """The judged queries of a BEIR folder; their answers, where `metadata` has one.

    Raises:
        UserError: a file or the split is missing, or a line is malformed.
    """
    there = beir.splits(folder)
    split = split or ("test" if "test" in there or len(there) != 1 else there[0])
    paths = beir.files(folder, split)
    if "queries" not in paths or "qrels" not in paths:
        raise UserError(
            f"{folder} has no queries.jsonl with qrels/{split}.tsv.",
            f"Splits there: {', '.join(there) or 'none'}. {beir.LAYOUT}",
        )
    try:
        qrels = read_qrels(paths["qrels"])
    except Malformed as error:
        raise UserError(str(error), "A line reads query-id <tab> corpus-id <tab> score.") from error
    questions = {}
    for place, row in beir.json_lines(paths["queries"]):
        id, text = beir.id_of(row, "_id", place), row.get("text")
        if not isinstance(text, str) or not text.strip():
            raise UserError(f'{place} has no "text".', 'A line reads {"_id": "1", "text": "..."}.')
        relevant = tuple(each for each, grade in qrels.get(id, {}).items() if grade > 0)
        metadata = row.get("metadata")
        answer = metadata.get("answer") if isinstance(metadata, dict) else None
        answers = answer if isinstance(answer, list) else [answer] if answer else []
        if id in qrels:
            known = tuple(each for each in answers if isinstance(each, str))
            questions[id] = Question(id, text, known, relevant)
    corpus = folder if "corpus" in paths else None
    return QuestionSet(folder.resolve().name, list(questions.values()), {}, corpus, True)


def _content(path: Path) -> dict[str, Any] | list[tuple[str, dict[str, Any]]]:
    """SQuAD's object, or (place, row) of every row."""
    with beir.opened(path) as file:
        start = file.read(1 << 16).decode("utf-8-sig", "replace").lstrip()
    if start.startswith("["):
        return list(_of_list(path))
    if start.startswith("{") and '"data"' in start and '"paragraphs"' in start:
        value: dict[str, Any] = _whole(path)
        return value
    return list(beir.json_lines(path))


def _whole(path: Path) -> Any:
    with beir.opened(path) as file:
        try:
            return from_json(file.read())
        except ValueError as error:
            raise UserError(f"{path} is not JSON: {error}.", "Save it again.") from error


def _of_list(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(file:line, object) of every item of a JSON list."""
    _whole(path)  # raises one error where it is no JSON
    with beir.opened(path) as file:
        text = file.read().decode("utf-8-sig")
    decoder, at, line, seen = json.JSONDecoder(), text.index("[") + 1, 1, 0
    for number in range(1, len(text)):
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1
        if at >= len(text) or text[at] == "]":
            return
        line, seen = line + text.count("\n", seen, at), at
        row, at = decoder.raw_decode(text, at)
        place = f"{path}:{line} (item {number})"
        if not isinstance(row, dict):
            raise UserError(f"{place} is not a JSON object.", "Every item is an object.")
        yield place, row


def _of_squad(path: Path, content: dict[str, Any], form: str) -> Iterator[tuple[str, Row]]:
    if form not in ("", "squad"):
        raise UserError(f"{path} has one object, which is SQuAD's form, not {form}.", _hint(form))
    try:
        rows = squad(content)
    except Misfit as error:
        raise UserError(f"{path}: {_dotted(error.place)}{error}.", _hint("squad")) from error
    return ((f"{path}: {place}", row) for place, row in rows)


def _by_row(content: Iterable[tuple[str, dict[str, Any]]], form: str) -> Iterator[tuple[str, Row]]:
    for number, (place, row) in enumerate(content, 1):
        if form == "embedlab":
            for name in ("id", "question"):
                if not str(row.get(name) or "").strip():
                    raise UserError(f'{place} has no "{name}".', _hint(form))
        try:
            yield place, FORMS[form].read(row, number)
        except Misfit as error:
            raise UserError(f"{place}: {error}.", _hint(form)) from error


def _dotted(place: tuple[str | int, ...]) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return f"{''.join(parts).lstrip('.')}: " if place else ""


def _hint(form: str) -> str:
    if form == "embedlab":
        return LINE
    others = ", ".join(name for name in FORMS if name != form)
    return f"It was read as {form}; other forms, named by --questions-form: {others}."
