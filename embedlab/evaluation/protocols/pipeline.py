"""Composed models on a retrieval task: the very retrievers that are searched elsewhere, over vectors from the store."""

import time
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from embedlab.encoding.cost import Cost
from embedlab.encoding.encoder import Encoder
from embedlab.encoding.vectors.views import View, shape
from embedlab.evaluation import retrieval
from embedlab.evaluation.protocols import lexical
from embedlab.evaluation.retrieval_data import RetrievalData
from embedlab.models.composition import ComposedModel, index_of
from embedlab.models.expressions import Leaf
from retrievers import Encoded, Retriever, index_costs, make, rerank
from retrievers import Encoder as TextEncoder
from retrievers.indexes.dense import metric_of

_BETWEEN = " + "  # a view of a composed model names the index of each leaf, in their order
_SINGLES = 10  # queries timed one by one where each takes many passes of a reranker


def views(model: ComposedModel, indexes: Sequence[str]) -> list[View]:
    """One view for each way in which the indexes asked for fit the leaves; leaves are seen in full."""
    named = [
        _BETWEEN.join(index_of(leaf, model.parts[leaf.name].card.kind, asked) for leaf in model.tree.leaves())
        for asked in indexes
    ]
    return [View(index=index) for index in dict.fromkeys(named)]


def encode(encoders: Mapping[str, Encoder | None], data: RetrievalData, task_metadata) -> tuple[dict, dict]:
    """Vectors of queries and documents by the part's name; the prompts by part and the summed cost of all."""
    encoded, prompts, spent = {}, {}, []
    for name, encoder in encoders.items():
        if encoder is not None and encoder.model.card.kind in ("dense", "sparse"):
            vectors, prompts[name], cost = retrieval.encode(encoder, data, task_metadata, [None])
            encoded[name] = vectors[None]
            spent.append(cost)
    if not spent:
        return encoded, {}
    total = Cost()
    for cost in spent:
        total.add(cost)
    # The same texts went through every part: time and tokens add up, texts do not.
    total.texts, total.truncated = spent[0].texts, max(cost.truncated for cost in spent)
    return encoded, {"cost": total, "prompts": prompts}


def search(view: View, model: ComposedModel, encoded: Mapping, data: RetrievalData, *, k: int, reporter):
    """Build the index of every leaf, search the composition: rows and scores `[queries, k]`, and what it cost."""
    spent = {"index_seconds": 0.0, "index_bytes": 0.0}
    specs, stages = iter(view.index.split(_BETWEEN)), []

    def leaf(leaf: Leaf) -> Retriever:
        retriever, seconds = _indexed(model.parts[leaf.name], next(specs), encoded.get(leaf.name), data, reporter)
        spent["index_seconds"] += seconds
        spent["index_bytes"] += float(retriever.memory_bytes())
        return retriever

    def stage(name: str, depth: int):
        stages.append(_Timed(rerank(model.parts[name].encoder).scorer))
        return rerank(stages[-1], depth)

    retriever = model.tree.built(leaf, stage)
    with _watched(stages, len(data.queries), reporter):
        rows, scores, asked = retrieval.ask(retriever, data.queries, data, k=k)
    if stages:
        seconds, pairs = (sum(getattr(stage, name) for stage in stages) for name in ("seconds", "pairs"))
        spent |= {"rerank_seconds": seconds, "pairs_per_second": pairs / max(seconds, 1e-9)}
    singles = _SINGLES if stages else 50
    spent |= index_costs.latency(retriever, data.queries, min(k, 10, len(data.document_ids)), singles=singles)
    return rows, scores, {**spent, **asked}


def _indexed(part, spec: str, vectors, data: RetrievalData, reporter) -> tuple[Retriever, float]:
    """A leaf's retriever with all documents in it, and the seconds that building it took."""
    if part.card.kind == "lexical":
        index = lexical.text_index(spec, part.card.settings)
        chunks = lexical.texts(spec, data)
        return index, retrieval.fill(
            lambda rows, chunk: index.add(data.document_ids[rows], chunk), chunks, data, reporter
        )
    queries, documents = vectors
    metric = metric_of(part.card.similarity)
    if queries.sparse:
        index, asked, chunks = make(spec, metric=metric), queries.read(), documents.chunks()
    else:
        normalise = part.card.similarity == "cosine"
        index, view = make(spec, metric=metric), View(index=spec)
        asked = shape(queries.read(), view, normalise=normalise)
        chunks = retrieval.shaped(documents, view, normalise=normalise)
    row_of = {text: row for row, text in enumerate(data.queries)}
    encoded = Encoded(_Known(None, part.identity, row_of=row_of, vectors=asked), index)
    seconds = retrieval.fill(
        lambda rows, chunk: encoded.add(data.document_ids[rows], data.documents[rows], chunk), chunks, data, reporter
    )
    return encoded, seconds


@dataclass(frozen=True)
class _Known(TextEncoder):
    """An encoder of queries whose vectors are known: latency is then that of the search, as for a single model."""

    row_of: Mapping[str, int] = field(default_factory=dict)
    vectors: Any = None

    def encode_queries(self, texts: Sequence[str]):
        return self.vectors[np.array([self.row_of[text] for text in texts])]


class _Timed:
    """A reranker with a clock, and with a bar while there is one."""

    def __init__(self, scorer):
        self.scorer, self.bar = scorer, None
        self.seconds, self.pairs = 0.0, 0

    def __call__(self, query: str, texts: list[str]) -> Sequence[float]:
        began = time.perf_counter()
        scores = self.scorer(query, texts)
        self.seconds += time.perf_counter() - began
        self.pairs += len(texts)
        if self.bar:
            self.bar.advance(1, len(texts))
        return scores


@contextmanager
def _watched(stages: Sequence[_Timed], queries: int, reporter):
    """A bar over all queries of all stages; none where nothing is reranked."""
    if not stages:
        yield
        return
    with reporter.phase("rerank", queries * len(stages), "pairs") as bar:
        for stage in stages:
            stage.bar = bar
        yield
        for stage in stages:
            stage.bar = None
