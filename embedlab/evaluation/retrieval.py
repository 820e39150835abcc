"""Retrieval and reranking tasks: views of the vectors through an index, ranked, scored per query."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from embedlab.encoding.cost import Cost
from embedlab.encoding.encoder import Encoder
from embedlab.encoding.vectors.vector_store import Vectors
from embedlab.encoding.vectors.views import View, coded, shape
from embedlab.errors import UserError
from embedlab.evaluation import metrics
from embedlab.evaluation.mteb_scores import official_scores
from embedlab.evaluation.retrieval_data import RetrievalData
from embedlab.models.prompts import prompt_for
from leaderboard.records import PerQuery, Ranking, Texts
from retrievers import Hits, index_costs, make
from retrievers.indexes.chunked import search_stream
from retrievers.indexes.dense import metric_of

SNIPPET = 1_000  # characters of a document kept for the dashboard
SHOWN = 10  # ranks whose documents are kept
EXACT = ("faiss:flat", "torch")
CHUNK_BYTES = 1 << 27  # vectors read from the store at a time
STREAM_BYTES = 1 << 30  # an exact index larger than this is searched chunk by chunk instead of being built


def encode(encoder: Encoder, data: RetrievalData, task_metadata, layers) -> tuple[dict, dict, Cost]:
    """Vectors of queries and documents by layer, the prompts used by role, and the cost."""
    from mteb.types import PromptType

    encoder.reporter.say(_forecast(encoder, data, layers))
    cost, prompts, vectors = Cost(), {}, {}
    for role, texts in ((PromptType.query, data.queries), (PromptType.document, data.documents)):
        prompts[role.value] = prompt_for(encoder.model.card, encoder.model.fact("prompts"), task_metadata, role)
        vectors[role], spent = encoder.encode(texts, role=role.value, prompt=prompts[role.value], layers=layers)
        cost.add(spent)
    queries, documents = vectors[PromptType.query], vectors[PromptType.document]
    return {layer: (queries[layer], documents[layer]) for layer in layers}, prompts, cost


def _forecast(encoder: Encoder, data: RetrievalData, layers) -> str:
    """What the encoding pass will leave on disk and hold in memory, before it begins."""
    texts, card = len(data.queries) + len(data.documents), encoder.model.card
    line = f"{texts:,} texts x {len(layers)} layers" if len(layers) > 1 else f"{texts:,} texts"
    if card.kind != "dense":
        return f"{line}: sparse vectors of {card.dim:,} terms."
    width = card.dim * (2 if encoder.options.store_dtype == "float16" else 4)
    index = min(len(data.documents) * card.dim * 4, STREAM_BYTES)
    held = sum(map(len, data.documents)) + index + 4 * card.parameters
    return (
        f"{line}: vectors of {card.dim:,} dimensions, {texts * len(layers) * width / 1e6:,.1f} MB on disk at most; "
        f"peak memory about {held / 1e9 + 1:,.1f} GB."
    )


def search_vectors(
    view: View, queries: Vectors, documents: Vectors, data: RetrievalData, *, similarity: str, k: int, reporter
) -> tuple[np.ndarray, np.ndarray, dict]:
    """Search one view: rows and scores `[queries, k]`, and what building and searching cost."""
    metric = metric_of(similarity)
    if queries.sparse:
        return search(
            make(view.index, metric=metric),
            documents.chunks(),
            queries.read(),
            data,
            k=k,
            reporter=reporter,
        )
    normalise = similarity == "cosine"
    spec = coded(view.index, view.precision)
    retriever = make(spec, metric=metric)
    asked = shape(queries.read(), view, normalise=normalise)
    chunks = partial(shaped, documents, view, normalise=normalise)
    if spec in EXACT and data.candidates is None and len(documents) * asked.shape[1] * 4 > STREAM_BYTES:
        return _stream(spec, chunks(), asked, data, k=k, metric=metric, reporter=reporter)
    rows, scores, spent = search(retriever, chunks(), asked, data, k=k, reporter=reporter)
    if spec not in EXACT and data.candidates is None:
        exact = search_stream("torch", chunks(), asked, min(k, 10), metric=metric)
        spent["recall_of_exact_at_10"] = index_costs.recall(Hits(rows[:, :10], scores[:, :10]), exact)
    return rows, scores, spent


def shaped(documents: Vectors, view: View, *, normalise: bool) -> Iterator[np.ndarray]:
    """The view of all documents' vectors, chunk by chunk."""
    for chunk in documents.chunks(CHUNK_BYTES // (4 * documents.dim)):
        yield shape(chunk, view, normalise=normalise)


def search(retriever, chunks: Iterator, queries, data: RetrievalData, *, k: int, reporter):
    """Index the chunks in document order, search all queries, and time single queries."""
    built = fill(lambda rows, chunk: retriever.add(data.document_ids[rows], chunk), chunks, data, reporter)
    rows, scores, spent = ask(retriever, queries, data, k=k)
    spent |= index_costs.latency(retriever, queries, min(k, 10, len(data.document_ids)), singles=50)
    return rows, scores, {"index_seconds": built, "index_bytes": float(retriever.memory_bytes()), **spent}


def fill(add: Callable[[slice, Any], Any], chunks: Iterator, data: RetrievalData, reporter) -> float:
    """Call `add` with the rows and the chunk for all chunks, in document order; returns the seconds that it took."""
    began, done = time.perf_counter(), 0
    with reporter.phase("index", len(data.document_ids)) as bar:
        for chunk in chunks:
            size = chunk.shape[0] if hasattr(chunk, "shape") else len(chunk)
            add(slice(done, done + size), chunk)
            done += size
            bar.advance(size)
    return time.perf_counter() - began


def ask(retriever, queries, data: RetrievalData, *, k: int):
    """Search all queries: rows, scores and costs."""
    k, began = min(k, len(data.document_ids)), time.perf_counter()
    if data.candidates is None:
        rows, scores = retriever.search(queries, k)
    else:
        rows, scores = _among_candidates(retriever, queries, data, k)
    seconds = time.perf_counter() - began
    return rows, scores, {"search_seconds": seconds, "queries_per_second": len(data.query_ids) / max(seconds, 1e-9)}


def _stream(spec: str, chunks: Iterator, queries, data: RetrievalData, *, k: int, metric: str, reporter):
    """Search a large corpus exactly without holding it; there is no index to measure then."""
    with reporter.phase("search", len(data.document_ids)) as bar:

        def counted():
            for chunk in chunks:
                yield chunk
                bar.advance(len(chunk))

        began = time.perf_counter()
        rows, scores = search_stream(spec, counted(), queries, k, metric=metric)
        seconds = time.perf_counter() - began
    spent = {"search_seconds": seconds, "queries_per_second": len(data.query_ids) / max(seconds, 1e-9)}
    return rows, scores, spent


def _among_candidates(retriever, queries, data: RetrievalData, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Rank each query's own candidates only (reranking tasks)."""
    width = min(k, max((len(data.candidates.get(query, ())) for query in data.query_ids), default=0))
    rows = np.full((len(data.query_ids), width), -1, dtype=np.int32)
    scores = np.full(rows.shape, -np.inf, dtype=np.float32)
    for position, query in enumerate(data.query_ids):
        among = data.candidates.get(query, ())
        if among:
            hits = retriever.search(queries[position : position + 1], min(width, len(among)), only=among)
            rows[position, : hits.rows.shape[1]], scores[position, : hits.rows.shape[1]] = hits.rows[0], hits.scores[0]
    return rows, scores


def score(
    task,
    data: RetrievalData,
    rows: np.ndarray,
    scores: np.ndarray,
    *,
    split: str,
    subset: str,
    depth: int | None = None,
    kind: str = "dense",
) -> dict:
    """Rank by the policy, score every query, and gather what a run records of it.

    Args:
        rows, scores: `[queries, k]`, the best first.
        depth: documents for a query that are left to look at where these are fewer than the task's metrics need
            (`depth.shallow`); metrics beyond are not computed.
        kind: the model's, on which the order of ties depends (`scorer`).
    """
    if np.isnan(scores[rows >= 0]).any():
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
        smaller_first=kind == "lexical",
    )
    # Metrics see what mteb retrieves, however many more were asked for.
    official = [part[:, :depth] for part in ranked(*(part[:, : max(task.k_values)] for part in (rows, scores)))]
    per_query = metrics.evaluate(
        official[0], data.judgements, [k for k in task.k_values if depth is None or k <= depth]
    )
    rows, scores = ranked(rows, scores) if rows.shape[1] > max(task.k_values) else official
    shown = {int(row) for row in np.unique(rows[:, :SHOWN]) if row >= 0} | {
        int(row) for row in data.judgements.row if row >= 0
    }
    return {
        "scores": official_scores(task, data, *official, per_query, split=split, subset=subset, depth=depth),
        "per_query": PerQuery(data.query_ids, per_query),
        "missing": dict(data.missing),
        "found_itself": 0 if task.ignore_identical_ids else _found_itself(data, rows),
        "ranking": Ranking(data.query_ids, data.document_ids, rows, scores),
        "texts": Texts(
            dict(zip(data.query_ids, data.queries, strict=True)),
            {q: dict(data.qrels[q]) for q in data.query_ids},
            {data.document_ids[row]: data.documents[row][:SNIPPET] for row in shown},
        ),
    }


def _found_itself(data: RetrievalData, rows: np.ndarray) -> int:
    """Queries whose best document has their own id, and is not judged relevant to them."""
    if not rows.shape[1]:
        return 0
    best = (data.document_ids[row] if row >= 0 else None for row in rows[:, 0].tolist())
    return sum(
        document == query and data.qrels[query].get(document, 0) <= 0
        for query, document in zip(data.query_ids, best, strict=True)
    )
