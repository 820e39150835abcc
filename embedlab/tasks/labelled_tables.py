"""Tables of texts and labels: TSV, CSV or JSONL files with named columns, one file per split.

TSV is read without quoting (a quotation mark is text), CSV with it; both start with a line that
names the columns. In JSONL a value keeps its type, so it also holds what a flat table cannot: lists
of summaries, several labels.
"""

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedlab.errors import UserError
from embedlab.tasks.beir import json_lines

if TYPE_CHECKING:
    from mteb import AbsTask


ENDINGS = (".tsv", ".csv", ".jsonl")
# Data sets name these columns in several ways; the first of a row is what messages suggest.
SYNONYMS = (("text", "sentences", "sentence"), ("label", "labels", "category"))


def columns(task: "AbsTask") -> list[str]:
    """The columns that mteb's `task` reads, texts first.

    Raises:
        UserError: the task has a shape that a table does not cover.
    """
    import mteb.abstasks as kinds

    if getattr(task, "parallel_subsets", False):
        raise UserError(
            f"{task.metadata.name} keeps its languages as parallel columns, which --data-dir does"
            " not cover."
        )
    if isinstance(task, kinds.AbsTaskSTS):
        return [*task.column_names, "score"]
    if isinstance(task, kinds.AbsTaskPairClassification):
        return [str(task.input1_column_name), str(task.input2_column_name), task.label_column_name]
    if isinstance(task, kinds.AbsTaskBitextMining):
        return ["sentence1", "sentence2"]
    if isinstance(task, kinds.AbsTaskSummarization):
        return [
            task.text_column_name,
            task.human_summaries_column_name,
            task.machine_summaries_column_name,
            task.relevancy_column_name,
        ]
    if hasattr(task, "input_column_name") and hasattr(task, "label_column_name"):
        return [task.input_column_name, task.label_column_name]
    raise UserError(
        f"{task.metadata.name} is of the type {task.metadata.type}, which --data-dir does not"
        " cover."
    )


def read(task: "AbsTask", paths: dict[str, Path]) -> dict[str, Any]:
    """split -> `datasets.Dataset` in mteb's columns, from one table per split.

    Labels given as words become integers in alphabetical order, the same over all splits.

    Raises:
        UserError: no rows, a column is missing, a line is malformed or a value is no number
            (file:line).
    """
    from datasets import Dataset
    from mteb.abstasks import AbsTaskClusteringLegacy

    names = columns(task)
    tables = {split: _table(path, names) for split, path in paths.items()}
    if task.metadata.type not in ("STS", "BitextMining", "Summarization", "Regression"):
        _number_labels([table[names[-1]] for table in tables.values()])
    if isinstance(task, AbsTaskClusteringLegacy):  # a row is a whole set of texts
        tables = {
            split: {name: [values] for name, values in table.items()}
            for split, table in tables.items()
        }
    return {split: Dataset.from_dict(table) for split, table in tables.items()}


def _table(path: Path, names: list[str]) -> dict[str, list[Any]]:
    """column -> values."""
    table: dict[str, list[Any]] = {name: [] for name in names}
    for place, row in json_lines(path) if path.suffix == ".jsonl" else _flat_rows(path):
        for name in names:
            value = row.get(next((known for known in _synonyms(name) if known in row), name))
            if value is None:
                wanted = ", ".join(_synonyms(name)[0] for name in names)
                raise UserError(
                    f"{place} has no column {name!r}.",
                    f"The columns are {wanted}; the first line names them.",
                )
            table[name].append(_number(value, place, name) if name in ("score", "value") else value)
    if not table[names[0]]:
        raise UserError(f"{path} holds no rows.", f"Its columns are {', '.join(names)}.")
    return table


def _flat_rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """(file:line, column -> value) of a TSV or CSV file."""
    dialect = (
        {"delimiter": "\t", "quoting": csv.QUOTE_NONE}
        if path.suffix == ".tsv"
        else {"strict": True}
    )
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, **dialect)
        try:
            header = next(reader, [])
            for fields in reader:
                place = f"{path}:{reader.line_num}"
                if not fields:
                    continue
                if len(fields) != len(header):
                    raise UserError(
                        f"{place} has {len(fields)} columns, but the first line names"
                        f" {len(header)}."
                    )
                yield place, dict(zip(header, fields, strict=True))
        except (csv.Error, UnicodeDecodeError) as error:
            raise UserError(
                f"{path}:{reader.line_num} cannot be read: {error}.", "Tables are UTF-8."
            ) from error


def _synonyms(name: str) -> tuple[str, ...]:
    return next((group for group in SYNONYMS if name in group), (name,))


def _number(value: Any, place: str, name: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise UserError(f"{place}: the {name} {value!r} is not a number.") from error


def _number_labels(label_columns: list[list[Any]]) -> None:
    """Make the labels of all splits integers, in place;
    lists of labels (JSONL) stay as they are.
    """
    labels = [label for column in label_columns for label in column]
    if any(isinstance(label, list) for label in labels):
        return
    if all(re.fullmatch(r"-?\d+", str(label)) for label in labels):
        numbers = {label: int(label) for label in labels}
    else:
        numbers = {label: number for number, label in enumerate(sorted(set(labels)))}
    for column in label_columns:
        column[:] = [numbers[label] for label in column]
