"""The documents of all questions at once: one search, which encodes everything in one pass; noise
put among them; and the order in which a generator reads them.
"""

import hashlib
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from embedlab.rag import scoring
from embedlab.rag.pipeline_expressions import Stage
from embedlab.rag.questions import Question
from retrievers import Retriever, ties

T = TypeVar("T")
_FUSED = 60  # the constant of reciprocal rank fusion (Cormack et al., SIGIR 2009)
_TIMED = 20  # questions that are searched alone, for the latency of one


@dataclass
class Retrieved:
    """Documents of one question, as rows of the retriever, best first."""

    rows: list[int]
    scores: list[float]
    noise: list[int] = field(default_factory=list)
    costs: dict[str, float] = field(default_factory=dict)


def retrieve(
    retriever: Retriever,
    queries: Sequence[Sequence[str]],
    k: int,
    only: np.ndarray | None = None,
) -> list[Retrieved]:
    """The `k` best documents of each question.

    Args:
        queries: of each question; the rankings of several are fused by their reciprocal ranks.
        only: the rows of the documents that may be found.
    """
    if not queries:
        return []
    flat = [text for texts in queries for text in texts]
    retriever.search(flat[:1], 1, only=only)  # what starts on first use is no question's cost
    began = time.perf_counter()
    hits = ties.search(retriever, flat, k, only=only)
    seconds = (time.perf_counter() - began) / len(queries)
    found, start = [], 0
    for texts in queries:
        rows = hits.rows[start : start + len(texts)]
        scores = hits.scores[start : start + len(texts)]
        start += len(texts)
        one = _single(rows[0], scores[0]) if len(texts) == 1 else _fused(retriever, rows, k)
        one.costs["retrieve_seconds"] = seconds
        found.append(one)
    for place in np.unique(np.linspace(0, len(queries) - 1, min(_TIMED, len(queries))).astype(int)):
        began = time.perf_counter()
        ties.search(retriever, list(queries[place]), k, only=only)
        found[place].costs["latency_seconds"] = time.perf_counter() - began
    return found


def passages(
    retriever: Retriever, questions: Sequence[str], rows: Sequence[Sequence[int]]
) -> list[list[str]]:
    """What the documents at these rows say to each question: of an index of chunks, the chunks."""
    found = np.full((len(rows), max(map(len, rows), default=0)), -1, dtype=np.int64)
    for place, each in enumerate(rows):
        found[place, : len(each)] = each
    read = retriever.passages(list(questions), found)
    return [[passage.text for passage in some] for some in read]


def _single(rows: np.ndarray, scores: np.ndarray) -> Retrieved:
    kept = [row for row in rows.tolist() if row >= 0]
    return Retrieved(kept, scores[: len(kept)].tolist())


def _fused(retriever: Retriever, rankings: np.ndarray, k: int) -> Retrieved:
    """Reciprocal rank fusion; equal scores by descending id, as fused retrievers do it."""
    total: dict[int, float] = {}
    for ranking in rankings.tolist():
        for rank, row in enumerate(row for row in ranking if row >= 0):
            total[row] = total.get(row, 0.0) + 1 / (_FUSED + rank + 1)
    ids = retriever.ids
    best = sorted(sorted(total, key=lambda row: ids[row], reverse=True), key=lambda r: -total[r])
    return Retrieved(best[:k], [total[row] for row in best[:k]])


def add_noise(
    stage: Stage,
    retriever: Retriever,
    questions: Sequence[Question],
    found: Sequence[Retrieved],
    only: np.ndarray | None = None,
) -> None:
    """Put documents that do not help beside those retrieved.

    random: any that are neither retrieved nor relevant, drawn by the question's own digest.
    adversarial: the best-ranked beyond those retrieved that are not relevant and hold no right
    answer (Chen et al., AAAI 2024, and Yoran et al., ICLR 2024, of how models bear them).

    Args:
        only: the rows of the documents that may be found.
    """
    some = np.arange(len(retriever.ids)) if only is None else only
    number, count = int(stage.setting("n", 2)), len(some)
    row_of = {id: row for row, id in enumerate(retriever.ids)}
    deeper = max((len(each.rows) for each in found), default=0) + 5 * number + 20
    hits = None
    if stage.argument == "adversarial":
        asked = [question.text for question in questions]
        hits = ties.search(retriever, asked, min(deeper, count), only=only)
    for place, (question, one) in enumerate(zip(questions, found, strict=True)):
        taken = {*one.rows, *(row_of[id] for id in question.relevant if id in row_of)}
        if hits is not None:
            candidates = [row for row in hits.rows[place].tolist() if row >= 0]
        else:
            seed = hashlib.sha256(question.text.encode("utf-8", "surrogatepass")).digest()
            wanted = min(count, number + len(taken) + 20)
            drawn = random.Random(seed).sample(range(count), wanted)
            candidates = some[drawn].tolist()
        for row in candidates:
            if len(one.noise) == number:
                break
            text = retriever.text(row) or ""
            if row not in taken and not (
                question.answers and scoring.answer_recall([text], question.answers)
            ):
                one.noise.append(row)


def misled(retriever: Retriever, question: Question, noise: Sequence[str]) -> bool:
    """Whether documents that were noise to another question of the same text help this one."""
    row_of = {id: row for row, id in enumerate(retriever.ids)} if noise and question.answers else {}
    texts = [retriever.text(row_of[id]) or "" for id in noise if id in row_of]
    return any(id in question.relevant for id in noise) or (
        bool(texts) and bool(scoring.answer_recall(texts, question.answers))
    )


def arranged(best_first: Sequence[T], noise: Sequence[T], order: str) -> list[T]:
    """Documents as a generator reads them, where it reads them all."""
    return ordered(mixed(best_first, noise), order)


def mixed(best_first: Sequence[T], noise: Sequence[T]) -> list[T]:
    """Documents with noise among them, from the second place on, always in the same way."""
    rows = list(best_first)
    for number, row in enumerate(noise):
        rows.insert(min(len(rows), 2 * number + 1), row)
    return rows


def ordered(best_first: Sequence[T], order: str) -> list[T]:
    """reverse: the best last; sides: the best at both ends (Liu et al., TACL 2024: what stands in
    the middle is lost).
    """
    rows = list(best_first)
    if order == "reverse":
        return rows[::-1]
    if order == "sides":
        return rows[::2] + rows[1::2][::-1]
    return rows


def by_rank(read: Sequence[T], order: str) -> list[T]:
    """What `ordered` made `read` of: the best first."""
    places = ordered(range(len(read)), order)
    return [read[places.index(rank)] for rank in range(len(read))]
