"""Question sets by name: a file or folder in any known form, or the built-in `stdlib-qa`."""

import hashlib
from dataclasses import replace
from pathlib import Path

from embedlab.errors import UserError, unknown
from embedlab.rag import question_files
from embedlab.rag.question_forms import FORMS, LINE
from embedlab.rag.questions import QuestionSet
from embedlab.tasks import stdlib_questions

BUILT_IN = "stdlib-qa"


def read(source: str, form: str = "", split: str = "", sample: int | None = None) -> QuestionSet:
    """The questions of a file or folder, or those of the built-in `stdlib-qa`.

    Args:
        source: a path, or the name of the built-in set.
        form: one of `FORMS`, or "beir" for a folder; by default it is recognised.
        split: of a BEIR folder; "test" by default.
        sample: so many of the questions: those whose ids' sha256 come first.

    Raises:
        UserError: there is no such file, it holds no questions, its form is not known, or a row is
            malformed (file and place).
    """
    if form and form not in (*FORMS, "beir"):
        raise unknown("form of questions", form, (*FORMS, "beir"))
    path = Path(source)
    if source == BUILT_IN and not path.exists():
        folder = stdlib_questions.folder()
        found = question_files.read(folder / "questions.jsonl", "embedlab")
        found = replace(found, name=BUILT_IN, corpus=folder)
    elif path.is_dir() and form in ("", "beir"):
        found = question_files.read_beir(path, split)
    elif not path.is_file():
        raise UserError(f"There is no file {path}.", f"{LINE} {BUILT_IN} is built in.")
    elif form == "beir":
        raise UserError(f"{path} is no BEIR folder.", "Name the folder that holds queries.jsonl.")
    else:
        found = question_files.read(path, form)
    if split and found.corpus != path:
        raise UserError("--split is for a BEIR folder.", "Leave it out.")
    if not found.questions:
        raise UserError(f"{path} holds no questions.", LINE)
    if sample is None or sample >= len(found.questions):
        return found
    chosen = set(sorted((each.id for each in found.questions), key=_order)[:sample])
    return replace(found, questions=[each for each in found.questions if each.id in chosen])


def _order(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
