"""Rankings and judgements as TREC files, which trec_eval, ir_measures and `embedlab import` read.

    qrels/<Task>.<split>.<subset>.<task revision>.txt                        query 0 document grade
    runs/<Task>.<split>.<subset>.<task revision>/<model>.<run id>.txt        query Q0 document rank
    score tag

Readers of run files put documents in order by the scores alone, equal ones by descending id. Where
a run has ranked equal scores in another order, each of them is written as the next smaller float32,
so that the order stays.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from leaderboard.atomic_files import atomic_write
from leaderboard.errors import LeaderboardError
from leaderboard.exchange.safe_names import segment
from leaderboard.records import Ranking, Task
from leaderboard.storage.store import Store


def write(store: Store, folder: Path, **where: object) -> list[Path]:
    """Write the rankings of the runs that `where` chooses,
    and the judgements of their tasks; returns the files.

    Raises:
        LeaderboardError: none of the runs has a ranking, or an id holds a blank, which ends a
            column in these files.
    """
    ranked = [run for run in store.runs(**where).to_pylist() if run["has_ranking"]]
    if not ranked:
        raise LeaderboardError(
            "None of these runs has a ranking.",
            "Rankings come from retrieval tasks that were evaluated here: embedlab eval -m bm25 -t"
            " StdlibCodeSearch",
        )
    written: dict[Path, None] = {}
    for run in ranked:
        task = Task(run["task"], run["type"], run["split"], run["subset"], run["task_revision"])
        parts = (task.name, task.split, task.subset, task.revision[:12] or "none")
        place = ".".join(map(segment, parts))
        path = folder / "runs" / place / f"{segment(run['model'])}.{segment(run['id'][:12])}.txt"
        ranking = store.ranking(run["id"])
        if ranking is not None:
            _put(path, _run_lines(ranking, segment(run["model"])))
            written[path] = None
        judged = folder / "qrels" / f"{place}.txt"
        if judged not in written and (texts := store.texts(task)) and texts.qrels:
            _put(judged, _qrels_lines(texts.qrels))
            written[judged] = None
    return list(written)


def _put(path: Path, lines: Iterator[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        atomic_write(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="\n") as file,
    ):
        file.writelines(lines)


def _run_lines(ranking: Ranking, tag: str) -> Iterator[str]:
    for query, rows, scores in zip(ranking.query_ids, ranking.rows, ranking.scores, strict=True):
        filled = rows >= 0
        documents = [ranking.document_ids[row] for row in rows[filled]]
        distinct = _telling(documents, scores[filled])
        for rank, (document, score) in enumerate(zip(documents, distinct, strict=True), 1):
            yield f"{_column(query)} Q0 {_column(document)} {rank} {score!s} {tag}\n"


def _telling(documents: list[str], scores: np.ndarray) -> np.ndarray:
    """Float32 scores that put the documents into this very order."""
    scores = scores.astype(np.float32, copy=True)
    for before, after in pairwise(range(len(documents))):
        if scores[after] > scores[before] or (
            scores[after] == scores[before]
            and documents[after].encode() > documents[before].encode()
        ):
            scores[after] = np.nextafter(scores[before], np.float32(-np.inf))
    return scores


def _qrels_lines(qrels: dict[str, dict[str, int]]) -> Iterator[str]:
    for query, judged in qrels.items():
        for document, grade in judged.items():
            yield f"{_column(query)} 0 {_column(document)} {grade}\n"


def _column(id: str) -> str:
    if not id or id.split() != [id]:
        raise LeaderboardError(
            f"The id {id!r} cannot stand in a TREC file: blanks end its column.",
            "Export as parquet, whose rankings keep every id: results.files/rankings beside the"
            " store.",
        )
    return id
