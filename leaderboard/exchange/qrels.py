"""Relevance judgements as files have them:
TREC's four columns, BEIR's three; and the lines of such files.

    query  iteration  document  grade          TREC: blanks or tabs between the columns query-id
    <tab> corpus-id <tab> score       BEIR: tabs, or commas in a .csv; a first line may name the
    columns

Grades are whole numbers, which may be written as `1.0`. A cell may be quoted, and a file may be
packed (.gz) or begin with a byte order mark.
"""

import csv
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from leaderboard.errors import Malformed

# What a first line that names the columns calls the last one.
_GRADE = {"score", "relevance", "rel", "label", "grade", "qrel", "judgement", "judgment"}
_BEYOND = 2**31  # grades are kept as int32


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """query id -> document id -> grade.

    A judgement that is repeated word for word counts once.

    Raises:
        Malformed: a line without three or four columns, or with another number of them than the
            first; a grade that is no whole number; two judgements that contradict each other. The
            text names file and line.
        OSError: the file cannot be read.
    """
    qrels: dict[str, dict[str, int]] = {}
    width = 0
    for number, line in lines(path):
        place, columns = f"{path}:{number}", _columns(line, path)
        if len(columns) not in (3, 4):
            raise Malformed(
                f"{place} has {len(columns)} columns, not 3 (query, document, grade) or 4 (TREC)."
            )
        if not width and columns[-1].lower() in _GRADE:
            width = len(columns)
            continue
        if len(columns) != (width := width or len(columns)):
            raise Malformed(f"{place} has {len(columns)} columns, the first line {width}.")
        query, document, grade = columns[0], columns[-2], _grade(columns[-1], place)
        if not query or not document:
            raise Malformed(f"{place} has an empty id.")
        known = qrels.setdefault(query, {}).setdefault(document, grade)
        if known != grade:
            raise Malformed(
                f"{place} gives document {document!r} the grade {grade} for query {query!r}, an"
                f" earlier line {known}."
            )
    return qrels


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number and text of every line that is not blank, without a byte order mark; unpacks .gz.

    Raises:
        Malformed: the file is no UTF-8 text, or not packed as its name says.
    """
    number = 0
    try:
        with (gzip.open if path.suffix == ".gz" else open)(
            path, "rt", encoding="utf-8-sig", newline="\n"
        ) as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line.rstrip("\r\n")
    except (UnicodeDecodeError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise Malformed(f"{path}:{number + 1} is no UTF-8 text: {error}.") from None


def _columns(line: str, path: Path) -> list[str]:
    delimiter = "," if ".csv" in path.suffixes else "\t" if "\t" in line else None
    if delimiter is None:
        return line.split()
    columns = (
        next(csv.reader([line], delimiter=delimiter)) if '"' in line else line.split(delimiter)
    )
    return [column.strip() for column in columns]


def _grade(text: str, place: str) -> int:
    try:
        value = float(text)
        grade = int(value)
    except (ValueError, OverflowError):  # no number; NaN, infinity
        value, grade = float("nan"), 0
    if value != grade:
        raise Malformed(f"{place}: the grade {text!r} is not a whole number.")
    if abs(grade) >= _BEYOND:
        raise Malformed(f"{place}: the grade {text!r} is too large.")
    return grade
