"""The built-in question set `stdlib-qa`: questions about the running Python's standard library with
answers that stand word for word in its documentation strings.

*Documents*: the docstrings of functions, methods and classes, each under its dotted name; equal
docstrings are one document, of the shortest name. What a rule below asks about comes first, the
rest is drawn in the order of the names' sha256.

*Questions*: of public functions and methods whose docstring no other definition shares.

* returns: `Return the size of a file.` -> What does `m.f` return? *the size of a file*
* true: `Return True if the queue is full.` -> When does `m.f` return True? *the queue is full*
* raises: `Raise KeyError if the key is not found.` -> Which exception does `m.f` raise if the key
  is not found? *KeyError*
* name: `Copy data from src to dst.` -> Which function of `m` copies data from src to dst? *m.f*

*Unanswerable*: every fifth question of the first three kinds loses its document, and so do others
that hold its answer beside the name. A person can ask it, and the corpus does not say.

What is built depends on the Python version; the revision, a hash of the content, says which.
"""

import hashlib
import json
import re
import shutil
import sys
import sysconfig
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from embedlab.resources import home
from embedlab.tasks import stdlib, stdlib_source
from embedlab.tasks.stdlib import SENTENCE_END, library
from embedlab.tasks.stdlib_source import Definition

DOCUMENTS, PER_KIND = 2_000, 150
_CHARACTERS = 2_000  # of a document
_UNANSWERABLE = 5  # one in so many
# Programs and what is on its way out of the library: few people ask about their functions.
_LEFT_OUT = ("idlelib", "lib2to3", "turtledemo", "distutils", "ensurepip", "tkinter", "test")
# What the first sentence of a docstring begins with, where it says what a function does.
_VERB_LIST = """
add append apply build check clear close compare compile compute connect convert copy count create
decode delete deliver describe detect determine discard dispatch display divide drop dump duplicate
emit encode escape evaluate execute exit expand extract fetch fill find flush force format generate
get handle indent initialize insert install invoke iterate join list load locate log look make merge
move normalize open pack parse perform pop post prepare print process push put quote raise randomize
read receive record register release remove rename render replace report reset resolve restore
retrieve reverse rotate run save scan schedule search select send serialize set show shuffle shut
shutdown skip sort split start stop store strip submit swap switch terminate test transform
translate truncate unpack unregister update upload validate verify wait walk wrap write
"""
_VERBS = frozenset(_VERB_LIST.split())
_EXCEPTION = (
    r"(?:an? |the )?[`*]*(?P<error>(?:[a-z_]+\.)*[A-Z]\w+(?:Error|Exception|Exit|Interrupt))[`*]*"
)
_CONDITION = r"(?P<condition>(?:if|when) [^.;:()]+?)\.(?=\s|$)"
_CONDITION_FIRST = r"(?:^|\. )(?P<condition>(?:If|When) [^.;:(,]+), (?:\w+\(\) )?"
_RAISES = [
    re.compile(pattern)
    for pattern in (
        rf"\b[Rr]aises? {_EXCEPTION}(?: exception)? {_CONDITION}",
        rf"{_EXCEPTION} is raised {_CONDITION}",
        rf"{_CONDITION_FIRST}raises? {_EXCEPTION}(?=\.|$)",
    )
]
_RETURNS = re.compile(r"Returns? ((?:the|an?|all) [^.;:(]+)$")
_TRUE = re.compile(
    r"Returns? [`*]*[Tt]rue[`*]* if (?:and only if )?([^.;:(,]+?)"
    r"(?:[;,] .*|(?: and| or|,)? [`*]*False[`*]* .*| otherwise.*)?$"
)
# Words that point to what the question does not show.
_POINTING = re.compile(
    r"\b(?:this|these|that|it|its|they|above|below|following|given|self)\b", re.I
)
_FUNCTION = re.compile(r"(?:@.*\n)*(?:async )?def ")


class Asked(NamedTuple):
    """A question as a rule makes it; `name` is the document's id."""

    name: str
    kind: str
    question: str
    answers: list[str]


def folder() -> Path:
    """A folder with `corpus.jsonl` (BEIR) and `questions.jsonl`, built if need be: one for each
    Python and each version of this code.
    """
    code = b"".join(
        Path(module).read_bytes() for module in (__file__, stdlib.__file__, stdlib_source.__file__)
    )
    key = hashlib.sha256(repr((sys.version, sysconfig.get_path("stdlib"), code)).encode())
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    target = home() / "stdlib" / f"qa-{version}-{key.hexdigest()[:16]}"
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    written = Path(tempfile.mkdtemp(dir=target.parent))
    try:
        write(written, build())
        written.rename(target)
    except OSError:
        if not target.is_dir():  # otherwise another process was first
            raise
    finally:
        shutil.rmtree(written, ignore_errors=True)
    return target


def write(target: Path, content: "StdlibQuestions") -> None:
    """Write the two files into a folder."""
    documents = (
        {"_id": name, "title": name, "text": text} for name, text in content.documents.items()
    )
    questions = (
        {
            "id": f"{each.kind}:{each.name}",
            "question": each.question,
            "answers": each.answers,
            "relevant": [each.name] if each.answers else [],
            "answerable": bool(each.answers),
        }
        for each in content.questions
    )
    for name, rows in (("corpus.jsonl", documents), ("questions.jsonl", questions)):
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (target / name).write_text(text, encoding="utf-8", newline="\n")


class StdlibQuestions(NamedTuple):
    """`documents` by id, and the questions; those without answers are not answerable."""

    documents: dict[str, str]
    questions: list[Asked]


def build(definitions: list[Definition] | None = None) -> StdlibQuestions:
    """The question set of the running Python, or of `definitions`."""
    definitions = library() if definitions is None else definitions
    classes = {each.name for each in definitions if not _FUNCTION.match(each.code)}
    documented = [
        replace(each, docstring=each.docstring[:_CHARACTERS])
        for each in definitions
        if len(each.docstring.split()) >= 4
    ]
    shared = Counter(_one_line(each.docstring) for each in documented)
    asked = [
        question
        for each in documented
        if _is_public(each.name) and shared[_one_line(each.docstring)] == 1
        for question in _of(each, each.name.rpartition(".")[0] in classes)
    ]
    texts = Counter(each.question for each in asked)
    asked = [each for each in asked if texts[each.question] == 1]
    chosen = [each for kind in _KINDS for each in _drawn(asked, kind)]
    questions, gone = _taken_out(chosen, documented)
    kept = {each.name for each in questions if each.answers}
    documents: dict[str, str] = {}
    written: set[str] = set()
    for each in sorted(documented, key=lambda d: (d.name not in kept, _order(d.name))):
        text = _one_line(each.docstring)
        if each.name not in gone and text not in written and len(documents) < DOCUMENTS:
            documents[each.name] = each.docstring
            written.add(text)
    return StdlibQuestions(dict(sorted(documents.items())), questions)


def _taken_out(chosen: list[Asked], documented: list[Definition]) -> tuple[list[Asked], set[str]]:
    """The questions, some of them without an answer, and the documents that these lose.

    A question keeps its answer where another question needs a document that says it.
    """
    texts = {each.name: f"{each.name} {each.docstring}" for each in documented}
    plain = {name: _plain(text) for name, text in texts.items()}
    candidates = [each for each in chosen if each.kind != "name"][::_UNANSWERABLE]
    needed = {each.name for each in chosen if each not in candidates}
    gone: set[str] = set()
    unanswerable = set()
    for each in candidates:
        short, answer = each.name.rpartition(".")[2], _plain(each.answers[0])
        saying = {each.name} | {
            name for name, text in texts.items() if short in text and answer in plain[name]
        }
        if not saying & needed:
            gone |= saying
            unanswerable.add(each.question)
        elif each.name not in gone:
            needed.add(each.name)
    kept = [each for each in chosen if each.question in unanswerable or each.name not in gone]
    return [
        each._replace(answers=[]) if each.question in unanswerable else each for each in kept
    ], gone


def _drawn(asked: list[Asked], kind: str) -> list[Asked]:
    """So many of one kind, at most one for each definition."""
    first: dict[str, Asked] = {}
    for each in asked:
        if each.kind == kind:
            first.setdefault(each.name, each)
    return sorted(first.values(), key=lambda each: _order(each.question))[:PER_KIND]


def _of(definition: Definition, is_method: bool) -> Iterator[Asked]:
    """Every question that the rules make of one definition."""
    if not _FUNCTION.match(definition.code):
        return
    for kind, rule in _KINDS.items():
        for question, answers in rule(definition):
            if len(question) <= 200 and all(len(answer) <= 100 for answer in answers):
                if is_method:
                    question = question.replace("Which function of", "Which method of")
                yield Asked(definition.name, kind, question, answers)


def _returns(definition: Definition) -> Iterator[tuple[str, list[str]]]:
    found = _RETURNS.match(_sentence(definition.docstring))
    if found and 2 <= len(found[1].split()) <= 12 and not _POINTING.search(found[1]):
        yield f"What does `{definition.name}` return?", [found[1]]


def _true(definition: Definition) -> Iterator[tuple[str, list[str]]]:
    found = _TRUE.match(_sentence(definition.docstring))
    if found and 2 <= len(found[1].split()) <= 15:
        yield f"When does `{definition.name}` return True?", [found[1]]


def _raises(definition: Definition) -> Iterator[tuple[str, list[str]]]:
    for pattern in _RAISES:
        for found in pattern.finditer(_one_line(definition.docstring)):
            error, condition = found["error"], found["condition"]
            if 3 <= len(condition.split()) <= 16 and not _POINTING.search(condition):
                condition = condition[0].lower() + condition[1:]
                question = f"Which exception does `{definition.name}` raise {condition}?"
                yield question, list(dict.fromkeys([error, error.rpartition(".")[2]]))


def _name(definition: Definition) -> Iterator[tuple[str, list[str]]]:
    sentence = _sentence(definition.docstring)
    verb, _, rest = sentence.partition(" ")
    if verb[:1].isupper() and verb.lower() in _VERBS and 4 <= len(rest.split()) <= 18:
        owner, _, short = definition.name.rpartition(".")
        two_verbs = re.search(r"(?:,|\band|\bor) (?:then )?(\w+)", rest)
        if re.search(rf"\b{re.escape(short)}\b", rest) or re.search(r"[:;=]|>>>|``", rest):
            return
        if not (two_verbs and two_verbs[1] in _VERBS | {"return", "returning"}):
            question = f"Which function of `{owner}` {_third_person(verb.lower())} {rest}?"
            yield question, [definition.name, short]


_KINDS: dict[str, Callable[[Definition], Iterator[tuple[str, list[str]]]]] = {
    "returns": _returns,
    "true": _true,
    "raises": _raises,
    "name": _name,
}


def _third_person(verb: str) -> str:
    if verb.endswith(("s", "sh", "ch", "x", "z", "o")):
        return f"{verb}es"
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return f"{verb[:-1]}ies"
    return f"{verb}s"


def _sentence(docstring: str) -> str:
    """The first sentence on one line, without its full stop."""
    paragraph = _one_line(docstring.strip().partition("\n\n")[0])
    end = SENTENCE_END.search(paragraph)
    return (paragraph[: end.start()] if end else paragraph).strip()


def _is_public(name: str) -> bool:
    parts = name.split(".")
    return parts[0] not in _LEFT_OUT and not any(part.startswith("_") for part in parts)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9_]+", text.lower()))


def _order(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
