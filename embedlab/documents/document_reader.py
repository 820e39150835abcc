"""Reads a corpus: a BEIR folder, a table, a file, or a folder of such."""

from collections.abc import Iterator
from pathlib import Path

from embedlab.documents import document_files as files
from embedlab.documents import document_tables as tables
from embedlab.documents.document_files import Unreadable
from embedlab.documents.read_corpus import Corpus, Gathered
from embedlab.errors import UserError
from embedlab.options import DocumentOptions
from embedlab.tasks import beir

READ = "md, txt, html, pdf, docx, csv, tsv, jsonl and parquet files are read."
_LINE = 'A line reads {"_id": "1", "title": "...", "text": "..."}.'


def read(path: Path, fields: DocumentOptions = DocumentOptions()) -> Corpus:
    """The documents at `path`.

    A BEIR folder, or a jsonl file without `fields`, is read as BEIR defines it: any fault of a
    line is an error. In other folders, files are documents whose id is their path in the folder,
    and rows of tables are documents whose id is their field of that name, else the file's path and
    the row's number, "notes.csv#3". What cannot be read is listed, and the rest is read.

    Raises:
        UserError: there is nothing at `path`, no document, or an id comes twice.
    """
    file = beir.corpus_file(path) if path.is_dir() else path
    if file and file.is_file() and _is_jsonl(file) and fields == DocumentOptions():
        return _beir(file)
    gathered = Gathered(
        "Ids are unique in a corpus: name another field with --id, or rename or remove one."
    )
    if file and file.is_file():
        _take(file, file.name, fields, gathered)
    elif path.is_dir():
        for inside in _files(path):
            _take(inside, inside.relative_to(path).as_posix(), fields, gathered)
    else:
        raise UserError(f"There is no corpus at {path}.", f"Name a folder or a file. {READ}")
    if not len(gathered):
        listed = "; ".join(f"{place}: {reason}" for place, reason in gathered.unread[:5])
        more = f" and {len(gathered.unread) - 5:,} more" if len(gathered.unread) > 5 else ""
        raise UserError(
            f"{path} holds no documents" + (f" ({listed}{more})." if listed else "."), READ
        )
    return gathered.corpus()


def _is_jsonl(path: Path) -> bool:
    """Whether it is JSON lines, as any file with an unknown ending was in the first place."""
    known = (*files.SUFFIXES, *tables.SUFFIXES)
    return path.name.endswith((".jsonl", ".jsonl.gz")) or not path.name.lower().endswith(known)


def _files(folder: Path) -> Iterator[Path]:
    """All files of a folder, hidden ones aside, in the order of their names."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden:
            yield path


def _take(path: Path, name: str, fields: DocumentOptions, gathered: Gathered) -> None:
    try:
        if name.lower().endswith(tables.SUFFIXES):
            _take_rows(path, name, fields, gathered)
        elif path.suffix.lower() in files.SUFFIXES:
            gathered.add(name, files.read_file(path), name)
        else:
            gathered.leave_out(name, f"files of the type {path.suffix or 'none'} are not read")
    except Unreadable as problem:
        gathered.leave_out(name, str(problem))


def _take_rows(path: Path, name: str, fields: DocumentOptions, gathered: Gathered) -> None:
    for number, row in tables.rows(path, fields):
        place = f"{name}#{number}"
        try:
            if isinstance(row, Unreadable):
                raise row
            id, document = tables.document(row, fields, place)
        except Unreadable as problem:
            gathered.leave_out(place, str(problem))
        else:
            gathered.add(id, document, place)


def _beir(file: Path) -> Corpus:
    gathered = Gathered("Ids are unique within a file.")
    for place, row in beir.json_lines(file):
        id, title, text = beir.id_of(row, "_id", place), row.get("title") or "", row.get("text")
        if not isinstance(text, str) or not isinstance(title, str):
            raise UserError(f"{place} has no text.", _LINE)
        further = {
            name: value
            for name, value in row.items()
            if name not in ("_id", "title", "text") and value not in (None, "", {}, [])
        }
        gathered.add(id, {"title": title, "text": text, **further}, place)
    if not len(gathered):
        raise UserError(f"{file} holds no documents.", _LINE)
    return gathered.corpus()
