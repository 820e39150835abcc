"""Per-query retrieval metrics, computed as arrays.

The policy, in one place, and the same as trec_eval's and mteb's:

* Documents rank by score, highest first; equal scores by document id, the greater id first. A run
  of bm25 alone ranks them as Anserini does, whose published scores it gives: the smaller id first.
  Nothing depends on the order of a file: a task's documents are held by descending id
  (`retrieval_data`), so that an index, which ranks equal scores by row, cuts its list as it ranks
  it; Lucene gets them by ascending id; and fusions and rerankers, for which a tie decides more than
  a place, settle it by id (`retrievers.ties`).
* A document counts once for a query, at its best score.
* Every query with a judgement is scored. One with no result scores 0 on every metric, and so does
  one that has no positive judgement. Judged documents that the corpus lacks stay relevant, and are
  not found.
* Where a task says so, a document with the query's own id is removed before ranking (self-match),
  and where it says that the first result is to be skipped, the first one is.
* Judgements of 0 or less count as not relevant; gains are the judgements themselves (linear).

The metrics themselves are `leaderboard.ranking_metrics`.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from embedlab.errors import UserError
from embedlab.tasks.corpus_texts import DocumentIds
from leaderboard import measures
from leaderboard.metric import Metric, Relevance
from leaderboard.ranking_metrics import METRICS
from retrievers.names import rows_in

CUTOFFS = (1, 3, 5, 10, 20, 100, 1000)


def rank(
    rows: np.ndarray,
    scores: np.ndarray,
    document_ids: Sequence[str],
    query_ids: Sequence[str] = (),
    *,
    remove_self: bool = False,
    skip_first: bool = False,
    smaller_first: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Order a run by the policy above.

    Args:
        rows: int32 `[queries, k]`, positions in `document_ids`; -1 marks an empty place.
        scores: float32 `[queries, k]`.
        document_ids: the corpus's ids, in row order.
        query_ids: the queries' ids; needed for `remove_self`.
        remove_self: drop documents whose id equals the query's.
        skip_first: drop each query's best document.
        smaller_first: equal scores rank as Anserini does, not as trec_eval.

    Returns:
        Rows and scores of the same shapes, ordered, with empty places (-1, -inf) last.
    """
    rows, scores = np.array(rows), np.array(scores, dtype=np.float32)
    scores[rows < 0] = -np.inf
    if remove_self:
        own = rows_in(document_ids, query_ids)
        scores[(rows == own[:, None]) & (rows >= 0)] = -np.inf
    rows[scores == -np.inf] = -1
    # Out of order, or tied.
    unordered = np.flatnonzero((scores[:, 1:] >= scores[:, :-1]).any(axis=1))
    repeating = np.flatnonzero(_repeats(rows))
    if len(unordered) or len(repeating):
        places = _places(document_ids, smaller_first)
        rows[unordered], scores[unordered] = _sort(rows[unordered], scores[unordered], *places)
        if len(repeating):
            rows[repeating], scores[repeating] = _sort(
                *_each_once(rows[repeating], scores[repeating]), *places
            )
    if skip_first:
        rows, scores = rows[:, 1:], scores[:, 1:]
    return rows, scores


class Judgements(NamedTuple):
    """The judgements of a task's queries as arrays, in query order.

    query: position of the query; row: the document's row, -1 where the corpus lacks it; gain: its
    relevance, 0 or less where it was judged not relevant.
    """

    queries: int
    documents: int
    query: np.ndarray
    row: np.ndarray
    gain: np.ndarray


def judge(
    qrels: Mapping[str, Mapping[str, int]], query_ids: Sequence[str], document_ids: Sequence[str]
) -> Judgements:
    """Turn qrels (query id -> document id -> relevance) into arrays, once per task."""
    judged = [
        (position, document, gain)
        for position, query in enumerate(query_ids)
        for document, gain in qrels.get(query, {}).items()
    ]
    query, gain = (np.array([each[n] for each in judged], dtype=np.int64) for n in (0, 2))
    row = rows_in(document_ids, [document for _, document, _ in judged])
    return Judgements(len(query_ids), len(document_ids), query, row, gain)


def evaluate(
    rows: np.ndarray,
    judgements: Judgements,
    cutoffs: Sequence[int] = CUTOFFS,
    *,
    whole: bool = True,
) -> dict[str, np.ndarray]:
    """Score each query of a ranked run by every registered metric (`leaderboard.measures`).

    Args:
        rows: int32 `[queries, k]` as `rank` returns them.
        judgements: of the same queries and documents.
        cutoffs: ranks at which to cut.
        whole: whether these are all documents that the task looks at; metrics without a cut-off
            need them.

    Returns:
        metric -> float64 `[queries]`, with mteb's names: ndcg_at_k, map_at_k, recall_at_k,
        precision_at_k, mrr_at_k, hit_rate_at_k for every cut-off, and those of installed packages.

    Raises:
        UserError: a metric of an installed package fails, or gives something else.
    """
    relevance = relevance_of(rows, judgements)
    scores: dict[str, np.ndarray] = {}
    for k in cutoffs:
        for name, metric in measures.registered().items():
            if metric.cut:
                scores[f"{name}_at_{k}"] = _scored(name, metric, relevance, k)
    for name, metric in measures.registered().items():
        if whole and not metric.cut:
            scores[name] = _scored(name, metric, relevance, rows.shape[1])
    return scores


def evaluate_on_request(
    rows: np.ndarray, judgements: Judgements, names: Sequence[str]
) -> dict[str, np.ndarray]:
    """Score each query of a ranked run by measures that were asked for by name.

    Args:
        rows, judgements: as in `evaluate`; all documents of the ranking.
        names: of measures, as people write them: "ERR@20", "Bpref", "nDCG@7".

    Returns:
        the store's name -> float64 `[queries]`.

    Raises:
        LeaderboardError: there is no such measure.
        UserError: it gives no number for a query.
    """
    relevance = relevance_of(rows, judgements) if names else None
    scores = {}
    for name in names:
        stored, metric, k = measures.requested(name)
        assert relevance is not None
        depth = k or rows.shape[1]
        scores[stored] = _scored(stored.partition("_at_")[0], metric, relevance, depth)
    return scores


def relevance_of(rows: np.ndarray, judgements: Judgements) -> Relevance:
    """What metrics see of a ranked run, `rows` as `rank` returns them."""
    judgement = _judgement_at(rows, judgements)
    positive = judgements.gain > 0
    query, gain = judgements.query[positive], judgements.gain[positive]
    best_first = np.lexsort((-gain, query))
    gains = np.append(np.maximum(judgements.gain, 0), 0).astype(np.int32)[judgement]
    return Relevance(
        gains,
        query[best_first],
        gain[best_first],
        rows >= 0,
        judgement,
        judgements.query,
        judgements.gain,
    )


def _scored(name: str, metric: Metric, relevance: Relevance, k: int) -> np.ndarray:
    """The metric's scores; those of a plug-in are looked at before they are believed."""
    plugin = None if name in METRICS else measures.plugin_of(name)
    if plugin is None:
        return metric.score(relevance, k)
    try:
        scores = np.asarray(metric.score(relevance, k), dtype=np.float64)
    except Exception as error:
        raise UserError(
            f"The metric {plugin} failed: {type(error).__name__}: {error}", plugin.hint
        ) from error
    if scores.shape != (len(relevance.gains),) or not np.isfinite(scores).all():
        number = len(relevance.gains)
        raise UserError(
            f"The metric {plugin} gave no {number} finite numbers for {number} queries.",
            plugin.hint,
        )
    return scores


def _repeats(rows: np.ndarray) -> np.ndarray:
    """For each query whether a document stands in its list twice."""
    ordered = np.sort(rows, axis=1)
    twice: np.ndarray = ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any(axis=1)
    return twice


def _each_once(rows: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A sorted run in which every document keeps its first place; the others are empty."""
    order = np.argsort(rows, axis=1, kind="stable")
    ordered = np.take_along_axis(rows, order, axis=1)
    again = np.zeros(rows.shape, dtype=bool)
    np.put_along_axis(again, order[:, 1:], ordered[:, 1:] == ordered[:, :-1], axis=1)
    return np.where(again, -1, rows), np.where(again, np.float32(-np.inf), scores)


def _places(document_ids: Sequence[str], smaller_first: bool) -> tuple[np.ndarray, np.ndarray]:
    """Row -> place (the higher, the better) among equal scores, from 1 on; and place - 1 -> row.
    Row -1 has place 0.
    """
    if isinstance(document_ids, DocumentIds):
        order = document_ids.ascending_rows()
    else:
        names = np.asarray(document_ids, dtype=np.dtypes.StringDType())
        order = np.argsort(names, kind="stable").astype(np.int32)
    order = order[::-1] if smaller_first else order
    place_of = np.zeros(len(order) + 1, dtype=np.uint32)  # the last place is what row -1 looks up
    place_of[order] = np.arange(1, len(order) + 1)
    return place_of, np.append(order, np.int32(-1))


def _sort(
    rows: np.ndarray, scores: np.ndarray, place_of: np.ndarray, row_at: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sort by score, then place, both descending:
    one integer key per hit, score bits above the place.
    """
    bits = (scores + np.float32(0)).view(np.uint32)  # adding 0 makes -0.0 equal to 0.0
    sign = np.uint32(1 << 31)
    ascending = np.where(bits & sign, ~bits, bits | sign)
    key = np.sort((ascending.astype(np.uint64) << np.uint64(32)) | place_of[rows], axis=1)[:, ::-1]
    ascending = (key >> np.uint64(32)).astype(np.uint32)
    scores = np.where(ascending & sign, ascending ^ sign, ~ascending).view(np.float32)
    return row_at[(key & np.uint64(0xFFFFFFFF)).astype(np.int64) - 1], scores


def _judgement_at(rows: np.ndarray, judgements: Judgements) -> np.ndarray:
    """The number of the judgement of the document at each rank, -1 without one: int32 `[queries,
    k]`.
    """
    numbers = np.full(rows.shape, -1, dtype=np.int32)
    # The last place is what row -1 looks up.
    number_of_row = np.full(judgements.documents + 1, -1, dtype=np.int32)
    in_corpus = np.flatnonzero(judgements.row >= 0).astype(np.int32)
    judged_row = judgements.row[in_corpus]
    starts = np.searchsorted(judgements.query[in_corpus], np.arange(judgements.queries + 1))
    for position, (start, stop) in enumerate(pairwise(starts)):
        # One table for all queries stays in the cache.
        number_of_row[judged_row[start:stop]] = in_corpus[start:stop]
        number_of_row.take(rows[position], out=numbers[position], mode="wrap")
        number_of_row[judged_row[start:stop]] = -1
    return numbers
