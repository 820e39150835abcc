"""Retrieval and reranking tasks: searched by the model's protocol,
ranked by one policy, scored per query.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from embedlab.encoding.vectors.views import View
from embedlab.errors import UserError
from embedlab.evaluation import metrics
from embedlab.evaluation.depth import recorded, refuse_beyond, searched, shallow
from embedlab.evaluation.mteb_scores import official_scores
from embedlab.evaluation.protocols.protocol import Protocol, SearchResult
from embedlab.evaluation.retrieval_data import RetrievalData, missing_message, retrieval_data
from embedlab.evaluation.task_result import TaskResult
from leaderboard import measures
from leaderboard.records import PerQuery, Ranking, Texts

SNIPPET = 1_000  # characters of a document kept for the dashboard
SHOWN = 10  # ranks whose documents are kept


def evaluate(
    protocol: Protocol, tasks: Mapping[View, Any], split: str, subset: str
) -> Iterator[TaskResult]:
    """Evaluate a searching task through every view.

    Args:
        tasks: mteb's task, one for each view, so that what one sees does not depend on the others.
    """
    started = time.perf_counter()
    task, top_k, reporter = (
        next(iter(tasks.values())),
        protocol.request.task.top_k,
        protocol.reporter,
    )
    data = retrieval_data(task, split, subset)
    if data.missing:
        reporter.say(missing_message(data.missing))
    for error in measures.broken().values():
        reporter.say(f"{error} Its scores are left out. {error.hint}")
    reading = time.perf_counter() - started
    depth, asked = shallow(top_k, task, data), protocol.request.task.measures
    refuse_beyond(asked, depth, task.metadata.name)
    passes = {
        chunk: protocol.prepare(task, data, [view for view in tasks if view.chunk == chunk])
        for chunk in dict.fromkeys(view.chunk for view in tasks)
    }
    for view, task in tasks.items():
        prepared = passes[view.chunk]
        searched_result = protocol.search(
            task, data, prepared, view, k=searched(top_k, depth, task)
        )
        cost = prepared.cost.of(view.layer) if prepared.cost else None
        started = time.perf_counter()
        result = score(
            task,
            data,
            searched_result,
            view,
            split=split,
            subset=subset,
            depth=depth,
            smaller_first=protocol.smaller_id_first,
            asked=asked,
        )
        _heed_own_ids(task, data, result, reporter)
        result.depth = recorded(top_k, depth, task)
        result.cost, result.prompts = cost, prepared.prompts
        result.costs = {**(cost.named() if cost else {}), **searched_result.costs}
        result.phases = {
            "read texts": reading,
            "encode": cost.seconds if cost else searched_result.costs.get("encode_seconds", 0.0),
            "index": searched_result.costs.get("index_seconds", 0.0),
            "search": searched_result.costs["search_seconds"],
            "score": time.perf_counter() - started,
        }
        yield result


def score(
    task: Any,
    data: RetrievalData,
    searched_result: SearchResult,
    view: View = View(),
    *,
    split: str,
    subset: str,
    depth: int | None = None,
    smaller_first: bool = False,
    asked: Sequence[str] = (),
) -> TaskResult:
    """Rank by the policy, score every query, and gather what a run records of it.

    Args:
        depth: documents for a query that are left to look at where these are fewer than the task's
            metrics need (`depth.shallow`); metrics beyond are not computed.
        smaller_first: of documents that score alike, the one with the smaller id comes first (see
            `metrics`).
        asked: measures beside those of every run; they see all that was ranked.

    Raises:
        UserError: a score is no number.
    """
    if np.isnan(searched_result.scores[searched_result.rows >= 0]).any():
        raise UserError(
            f"The search returned scores that are not numbers on {task.metadata.name}.",
            "The model's vectors hold NaN: try --dtype float32.",
        )
    ranked = partial(
        metrics.rank,
        document_ids=data.document_ids,
        query_ids=data.query_ids,
        remove_self=task.ignore_identical_ids,
        skip_first=task.skip_first_result,
        smaller_first=smaller_first,
    )
    rows, scores = searched_result.rows, searched_result.scores
    # Metrics see what mteb retrieves, however many more were asked for.
    first, second = (
        part[:, :depth]
        for part in ranked(*(part[:, : max(task.k_values)] for part in (rows, scores)))
    )
    per_query = metrics.evaluate(
        first,
        data.judgements,
        [k for k in task.k_values if depth is None or k <= depth],
        whole=depth is None,
    )
    rows, scores = ranked(rows, scores) if rows.shape[1] > max(task.k_values) else (first, second)
    official = official_scores(
        task, data, first, second, per_query, split=split, subset=subset, depth=depth
    )
    more = metrics.evaluate_on_request(rows, data.judgements, asked)
    per_query = more | per_query
    return TaskResult(
        split,
        subset,
        view,
        scores={name: float(values.mean()) for name, values in more.items()} | official,
        costs={},
        phases={},
        missing=dict(data.missing),
        per_query=PerQuery(data.query_ids, per_query),
        ranking=Ranking(data.query_ids, data.document_ids, rows, scores),
        texts=_texts(data, rows),
    )


def _texts(data: RetrievalData, rows: np.ndarray) -> Texts:
    """Queries, judgements, and the documents that the dashboard shows."""
    relevant = data.judgements.row[data.judgements.gain > 0]
    shown = np.unique(np.append(rows[:, :SHOWN], relevant))
    shown = shown[shown >= 0]
    texts = (text[:SNIPPET] for text in data.documents.at(shown))
    return Texts(
        dict(zip(data.query_ids, data.queries, strict=True)),
        {query: dict(data.qrels[query]) for query in data.query_ids},
        dict(zip(data.document_ids[shown], texts, strict=True)),
    )


def _heed_own_ids(task: Any, data: RetrievalData, result: TaskResult, reporter: Any) -> None:
    """Say so where queries of a BEIR folder of the user's find themselves."""
    if task.ignore_identical_ids or not getattr(task, "ours", False) or result.ranking is None:
        return
    if count := _found_itself(data, result.ranking.rows):
        reporter.say(
            f"{count} of {len(data.query_ids)} queries find the document of their own id first,"
            " which nobody judged relevant. If queries are documents here, type"
            " --ignore-identical-ids."
        )


def _found_itself(data: RetrievalData, rows: np.ndarray) -> int:
    """Queries whose best document has their own id, and is not judged relevant to them."""
    if not rows.shape[1]:
        return 0
    best = (data.document_ids[row] if row >= 0 else None for row in rows[:, 0].tolist())
    return sum(
        document == query and data.qrels[query].get(document, 0) <= 0
        for query, document in zip(data.query_ids, best, strict=True)
    )
