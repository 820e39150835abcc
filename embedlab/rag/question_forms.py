"""The forms in which question sets are published, row by row.

embedlab   {"id", "question", "answers", "relevant", "answerable"}; "answer" stands for one of them
squad      {"data": [{"title", "paragraphs": [{"context", "qas": [...]}]}]} (Rajpurkar et al.,
           2016 and 2018), or a row for each question with "context" and "answers": {"text"}
nq-open    {"question", "answer": [...]} (Lee et al., 2019)
hotpotqa   {"_id", "question", "answer", "context", "supporting_facts"} (Yang et al., 2018)
kilt       {"id", "input", "output": [{"answer", "provenance"}]} (Petroni et al., 2021)
bergen     {"id", "content", "label", "ranking_label"} (Rau et al., 2024)
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from embedlab.rag.questions import Question
from leaderboard.typed_values import Misfit, convert
from retrievers.texts import Document

LINE = (
    'A line reads {"id": "1", "question": "...", "answers": ["..."], "relevant": ["document-id"]}.'
)
Id = str | int | float


class Row(NamedTuple):
    """A question, and the documents that its row brings, by id."""

    question: Question
    documents: dict[str, Document]


@dataclass(frozen=True)
class _Own:
    id: Id
    question: str
    answers: list[str] | None = None
    relevant: list[str] | None = None
    answerable: bool | None = None
    answer: list[str] | str | None = None


@dataclass(frozen=True)
class _SquadAnswer:
    text: str


@dataclass(frozen=True)
class _SquadQuestion:
    id: Id
    question: str
    answers: list[_SquadAnswer] | None = None
    is_impossible: bool = False


@dataclass(frozen=True)
class _SquadParagraph:
    context: str
    qas: list[_SquadQuestion]


@dataclass(frozen=True)
class _SquadArticle:
    paragraphs: list[_SquadParagraph]
    title: str = ""


@dataclass(frozen=True)
class _Squad:
    data: list[_SquadArticle]


@dataclass(frozen=True)
class _SquadTexts:
    text: list[str]


@dataclass(frozen=True)
class _SquadRow:
    id: Id
    question: str
    context: str
    answers: _SquadTexts
    title: str = ""


@dataclass(frozen=True)
class _NqOpen:
    question: str
    answer: list[str] | str


@dataclass(frozen=True)
class _Hotpot:
    _id: Id
    question: str
    context: list[tuple[str, list[str]]]
    answer: str | None = None
    supporting_facts: list[tuple[str, int]] = field(default_factory=list)


@dataclass(frozen=True)
class _Provenance:
    wikipedia_id: Id | None = None


@dataclass(frozen=True)
class _KiltOutput:
    answer: str | None = None
    provenance: list[_Provenance] = field(default_factory=list)


@dataclass(frozen=True)
class _Kilt:
    id: Id
    input: str
    output: list[_KiltOutput] = field(default_factory=list)


@dataclass(frozen=True)
class _Bergen:
    id: Id
    content: str
    label: list[str] | str | None = None
    ranking_label: list[list[Id]] | None = None


def _own(row: Mapping[str, Any], number: int) -> Row:
    line = convert(row, _Own)
    if line.answer is not None and line.answers is not None:
        raise Misfit('it has both "answer" and "answers"', ("answer",))
    answers = line.answers if line.answer is None else _unique(_listed(line.answer))
    answers, relevant = (tuple(values or ()) for values in (answers, line.relevant))
    if answers and line.answerable is False:
        raise Misfit('"answerable" is false, and "answers" has some', ("answerable",))
    return Row(
        Question(str(line.id), line.question, answers, relevant, line.answerable is not False), {}
    )


def _squad_row(row: Mapping[str, Any], number: int) -> Row:
    line = convert(row, _SquadRow)
    digest = hashlib.sha256(line.context.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    document = f"{line.title}#{digest}"
    return _with_context(
        str(line.id), line.question, line.answers.text, document, line.title, line.context
    )


def squad(value: Any) -> list[tuple[str, Row]]:
    """(place, row) of every question in SQuAD's own file.

    Raises:
        Misfit: a value is missing or of another type.
    """
    rows = []
    articles = convert(value, _Squad).data
    titles: set[str] = set()
    for a, article in enumerate(articles):
        title = article.title or str(a)
        # Two articles of one title are two.
        own = f"{title} ({a})" if title in titles else title
        titles.add(title)
        for p, paragraph in enumerate(article.paragraphs):
            for q, asked in enumerate(paragraph.qas):
                known = None if asked.answers is None else [each.text for each in asked.answers]
                answers = [] if asked.is_impossible else known
                document = f"{own}#{p}"
                row = _with_context(
                    str(asked.id), asked.question, answers, document, article.title,
                    paragraph.context,
                )  # fmt: skip
                rows.append((f"data[{a}].paragraphs[{p}].qas[{q}]", row))
    return rows


def _with_context(
    id: str, question: str, answers: Iterable[str] | None, document: str, title: str, context: str
) -> Row:
    """answers: none is the right answer to some questions; None: nobody says."""
    known = _unique(answers or ())
    asked = Question(
        id, question, known, (document,) if known else (), bool(known) or answers is None
    )
    return Row(asked, {document: {"title": title, "text": context}})


def _nq_open(row: Mapping[str, Any], number: int) -> Row:
    line = convert(row, _NqOpen)
    return Row(Question(str(number), line.question, _unique(_listed(line.answer))), {})


def _hotpot(row: Mapping[str, Any], number: int) -> Row:
    row = {**row, "_id": row["id"] if row.get("_id") is None and "id" in row else row.get("_id")}
    for name, second in (("context", "sentences"), ("supporting_facts", "sent_id")):
        if isinstance(columns := row.get(name), Mapping):  # as the Hugging Face hub has them
            row[name] = list(zip(columns.get("title", ()), columns.get(second, ()), strict=False))
    line = convert(row, _Hotpot)
    texts: dict[str, list[str]] = {}  # of one title, all paragraphs: facts name no more than that
    for title, sentences in line.context:
        texts.setdefault(title, []).append("".join(sentences).strip())
    documents: dict[str, Document] = {
        title: {"title": title, "text": "\n\n".join(dict.fromkeys(parts))}
        for title, parts in texts.items()
    }
    relevant = _unique(title for title, _ in line.supporting_facts)
    answers = (line.answer,) if line.answer else ()
    return Row(Question(str(line._id), line.question, answers, relevant), documents)


def _kilt(row: Mapping[str, Any], number: int) -> Row:
    line = convert(row, _Kilt)
    relevant = (
        str(each.wikipedia_id)
        for output in line.output
        for each in output.provenance
        if each.wikipedia_id is not None
    )
    answers = _unique(output.answer or "" for output in line.output)
    return Row(Question(str(line.id), line.input, answers, _unique(relevant)), {})


def _bergen(row: Mapping[str, Any], number: int) -> Row:
    line = convert(row, _Bergen)
    relevant = (str(id) for ids in line.ranking_label or () for id in ids)
    answers = _unique(_listed(line.label or ()))
    return Row(Question(str(line.id), line.content, answers, _unique(relevant)), {})


class Form(NamedTuple):
    """A form: what its rows look like, and a row read; `own_ids` as in `QuestionSet`."""

    keys: frozenset[str]  # that every row has
    read: Callable[[Mapping[str, Any], int], Row]
    own_ids: bool = True
    never: frozenset[str] = frozenset()  # keys that none of its rows has


# The first whose keys a row has is its form.
FORMS = {
    "kilt": Form(frozenset({"input", "output"}), _kilt),
    "bergen": Form(frozenset({"content", "label"}), _bergen),
    "hotpotqa": Form(frozenset({"question", "context", "supporting_facts"}), _hotpot),
    "squad": Form(frozenset({"question", "context", "answers"}), _squad_row),
    "nq-open": Form(
        frozenset({"question", "answer"}),
        _nq_open,
        never=frozenset({"id", "answers", "relevant", "answerable"}),
    ),
    "embedlab": Form(frozenset(), _own, own_ids=False),
}


def recognised(row: Mapping[str, Any]) -> str:
    """The name of the form that a row has."""
    return next(
        name
        for name, form in FORMS.items()
        if form.keys <= row.keys() and not form.never & row.keys()
    )


def _listed(value: Iterable[str]) -> Iterable[str]:
    return [value] if isinstance(value, str) else value


def _unique(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts if text))
