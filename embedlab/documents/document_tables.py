"""Many documents per file: the rows of csv, jsonl and parquet files."""

import csv
import json
import math
import re
from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from embedlab.documents.document_files import Unreadable
from embedlab.errors import UserError
from embedlab.options import DocumentOptions
from embedlab.tasks import beir
from leaderboard.plain_json import from_json

SUFFIXES = (".csv", ".tsv", ".jsonl", ".jsonl.gz", ".parquet")
_IDS = ("_id", "id")
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d+)?")

Row = tuple[int, dict[str, Any] | Unreadable]


def rows(path: Path, fields: DocumentOptions) -> Iterator[Row]:
    """(number from 1, fields by name) of every row; for a row that cannot be read, why.

    In csv files, where everything is text, columns of metadata that hold numbers become numbers.

    Raises:
        Unreadable: the file is broken or empty.
    """
    if not path.stat().st_size:
        raise Unreadable("the file is empty")
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return _parquet(path)
    return _csv(path, _texts(fields)) if suffix in (".csv", ".tsv") else _jsonl(path)


def document(
    row: dict[str, Any], fields: DocumentOptions, otherwise: str
) -> tuple[str, dict[str, Any]]:
    """Id and document of a row, its further fields as metadata.

    Args:
        otherwise: the id, where the row has no field for it and none was named.

    Raises:
        Unreadable: a field that was named is not there, or the row has no text.
    """
    id_name = fields.id or next((name for name in _IDS if name in row), "")
    text_name, title_name = fields.text or "text", fields.title or "title"
    wanted = [id_name] * bool(fields.id) + [text_name] + [title_name] * bool(fields.title)
    for name in (*wanted, *fields.metadata):
        if name not in row:
            raise Unreadable(f"it has no {name!r}; its fields are {', '.join(map(repr, row))}")
    text, title = _text(row, text_name), _text(row, title_name)
    if not text.strip() and not title.strip():
        raise Unreadable("it holds no text")
    taken = {"text", "title"} - {text_name, title_name}
    if hidden := sorted(taken & set(fields.metadata or ())):
        raise Unreadable(f"its {hidden[0]!r} would stand where the document's own does: rename it")
    kept = fields.metadata or [
        name for name in row if name not in {id_name, text_name, title_name, *taken}
    ]
    metadata = {name: value for name in kept if (value := _plain(row[name])) not in (None, "")}
    return _id(row, id_name) if id_name else otherwise, {
        **metadata,
        "title": title,
        "text": text,
    }


def _id(row: dict[str, Any], name: str) -> str:
    try:
        return beir.id_of(row, name, "it")
    except (UserError, TypeError) as error:
        raise Unreadable(f"its {name!r} is {row[name]!r}, which is no id") from error


def _text(row: dict[str, Any], name: str) -> str:
    value = _plain(row.get(name))
    if isinstance(value, list | dict):
        raise Unreadable(f"its {name!r} is no text")
    return "" if value is None else str(value)


def _plain(value: Any) -> Any:
    """A value as JSON holds it; None for NaN."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, list | dict | str | int) or value is None:
        try:
            json.dumps(value)
        except TypeError:
            return str(value)
        return value
    return str(value)


def _jsonl(path: Path) -> Iterator[Row]:
    try:
        with beir.opened(path) as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    row = from_json(line)
                except ValueError as error:
                    yield number, Unreadable(f"it is not JSON: {error}")
                    continue
                good = isinstance(row, dict)
                yield number, row if good else Unreadable("it is not a JSON object")
    except UserError as error:
        raise Unreadable(str(error)) from error


def _csv(path: Path, texts: set[str]) -> Iterator[Row]:
    csv.field_size_limit(1 << 30)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            read = list(csv.reader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ","))
    except UnicodeDecodeError as error:
        raise Unreadable("it is not UTF-8 text") from error
    except (OSError, csv.Error) as error:
        raise Unreadable(str(error)) from error
    if not read:
        raise Unreadable("it has no header")
    header, *lines = read
    if len(set(header)) < len(header):
        raise Unreadable(f"two of its columns have one name: {', '.join(header)}")
    whole = [line for line in lines if len(line) == len(header)]
    numeric = [
        name not in texts and _all_numbers([line[at] for line in whole])
        for at, name in enumerate(header)
    ]
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        if len(line) != len(header):
            yield number, Unreadable(f"it has {len(line)} fields, and the header {len(header)}")
            continue
        values = [
            from_json(value) if is_number and value else value
            for value, is_number in zip(line, numeric, strict=True)
        ]
        yield number, dict(zip(header, values, strict=True))


def _texts(fields: DocumentOptions) -> set[str]:
    """Columns that hold ids, titles and texts, whatever they look like."""
    return {*([fields.id] if fields.id else _IDS), fields.text or "text", fields.title or "title"}


def _all_numbers(values: list[str]) -> bool:
    filled = [value for value in values if value]
    return bool(filled) and all(map(_NUMBER.fullmatch, filled))


def _parquet(path: Path) -> Iterator[Row]:
    import pyarrow
    from pyarrow import parquet

    try:
        number = 0
        for batch in parquet.ParquetFile(path).iter_batches():
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except (OSError, pyarrow.ArrowException) as error:
        raise Unreadable(f"it is no readable parquet file ({error})") from error
