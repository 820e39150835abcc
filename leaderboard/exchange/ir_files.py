"""Files of the retrieval tools: Anserini's and Pyserini's tables of BEIR scores, and TREC runs."""

import csv
import io
import tomllib
from collections.abc import Iterator
from functools import cache
from math import isfinite
from pathlib import Path

import numpy as np

from leaderboard.errors import Malformed, Partial
from leaderboard.exchange.mteb_files import imported_id
from leaderboard.exchange.qrels import lines
from leaderboard.measures import stored
from leaderboard.records import Model, Ranking, Run, Task

_ANSERINI = {"dataset", "config", "model", "topic_set", "metric", "value"}
_PYSERINI = {"condition", "dataset"}
_GREATEST = float(np.finfo(np.float32).max)  # trec_eval compares scores as float32, too


def is_table(path: Path) -> bool:
    """Whether a file's first line is the header of one of the two tables of scores."""
    with path.open(encoding="utf-8", errors="replace") as file:
        header = set(file.readline().strip().split(","))
    return header >= _ANSERINI or header >= _PYSERINI


def read_table(path: Path, content: bytes) -> list[Run]:
    """The runs of a CSV file of scores.

    Anserini's has the columns dataset, config, model, topic_set, metric, value; Pyserini's
    condition, dataset and one column for each metric. Metrics are named as nDCG@10 and R@100.

    Raises:
        Malformed: other columns, or a score that is no number; Partial where some models or data
            sets lack nDCG@10.
    """
    try:
        table = csv.DictReader(io.StringIO(content.decode()))
        columns = set(table.fieldnames or ())
        if columns >= _ANSERINI:
            source, results = "anserini", _anserini_scores(table)
        elif columns >= _PYSERINI:
            source, results = "pyserini", _pyserini_scores(table)
        else:
            raise Malformed("neither Anserini's columns nor Pyserini's")
        grouped: dict[tuple[str, str, str, str], dict[str, float]] = {}
        for name, revision, dataset, split, metric, value in results:
            grouped.setdefault((name, revision, dataset, split), {})[stored(metric)] = float(value)
    except (UnicodeDecodeError, csv.Error, TypeError, ValueError) as error:
        raise error if isinstance(error, Malformed) else Malformed(str(error)) from None

    runs, problems = [], []
    for (name, revision, dataset, split), scores in grouped.items():
        model = Model(f"{source}/{name}", revision, _kind(name))
        task = Task(_tasks().get(dataset, dataset), "Retrieval", split)
        if "ndcg_at_10" not in scores or not all(map(isfinite, scores.values())):
            problems.append(f"no nDCG@10 of {name} on {dataset}")
            continue
        runs.append(
            Run(
                model,
                task,
                scores["ndcg_at_10"],
                scores,
                source=source,
                id=imported_id(model, task, source),
                resolved={"file": "/".join(path.parts[-3:])},
            )
        )
    if problems:
        raise Partial("; ".join(problems), runs) if runs else Malformed("; ".join(problems))
    return runs


def read_trec_run(path: Path) -> Ranking:
    """A TREC run file, six columns a line: query, Q0, document, rank, score, tag.

    The score decides the order, as in trec_eval; the rank column is not read.

    Raises:
        Malformed: a line without six columns or a finite score, or a document twice for one query.
    """
    ranked: dict[str, dict[str, float]] = {}
    for number, line in lines(path):
        columns = line.split()
        if len(columns) != 6:
            raise Malformed(f"{path}:{number} has {len(columns)} columns, not 6.")
        query, _, document, _, score, _ = columns
        try:
            value = float(score)
        except ValueError:
            value = np.nan
        if not isfinite(value):
            raise Malformed(f"{path}:{number}: the score {score!r} is not a number.")
        if document in ranked.setdefault(query, {}):
            raise Malformed(
                f"{path}:{number}: query {query!r} ranks document {document!r} a second time."
            )
        ranked[query][document] = value
    row_of = {
        document: row
        for row, document in enumerate(dict.fromkeys(d for hits in ranked.values() for d in hits))
    }
    shape = (len(ranked), max(map(len, ranked.values()), default=0))
    rows, scores = np.full(shape, -1, np.int32), np.full(shape, -np.inf, np.float32)
    for place, hits in enumerate(ranked.values()):
        rows[place, : len(hits)] = [row_of[document] for document in hits]
        scores[place, : len(hits)] = np.clip(list(hits.values()), -_GREATEST, _GREATEST)
    return Ranking(list(ranked), list(row_of), rows, scores)


def _anserini_scores(table: "csv.DictReader[str]") -> Iterator[tuple[str, str, str, str, str, str]]:
    for row in table:
        yield (
            row["model"],
            row["config"],
            row["dataset"],
            row["topic_set"],
            row["metric"],
            row["value"],
        )


def _pyserini_scores(table: "csv.DictReader[str]") -> Iterator[tuple[str, str, str, str, str, str]]:
    for row in table:
        for metric in row.keys() - _PYSERINI:
            yield row["condition"], "", row["dataset"], "test", metric, row[metric]


def _kind(name: str) -> str:
    if name.startswith("bm25"):
        return "lexical"
    return "sparse" if name.startswith("splade") else "dense"


@cache
def _tasks() -> dict[str, str]:
    return tomllib.loads((Path(__file__).parent / "beir.toml").read_text(encoding="utf-8"))
