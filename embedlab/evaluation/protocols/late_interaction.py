"""Late interaction: a vector for each token, kept in the vector store; exact MaxSim, indexes, and
second stages that score what the store holds.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from embedlab.encoding.cost import Cost
from embedlab.encoding.in_memory import MemoryVectors
from embedlab.encoding.vectors.stored_vectors import Vectors
from embedlab.encoding.vectors.views import View, coded, cross
from embedlab.errors import UserError
from embedlab.evaluation import searching
from embedlab.evaluation.protocols.dense_models import refuse_dimensions
from embedlab.evaluation.protocols.encoded_models import CHUNK_BYTES, EncodedModels
from embedlab.evaluation.protocols.protocol import Prepared, Protocol, SearchResult
from embedlab.evaluation.retrieval_data import RetrievalData
from embedlab.evaluation.task_result import TaskResult
from embedlab.models.composition import fitting
from embedlab.models.settings.prompts import prompt_for
from retrievers import Hits, index_costs
from retrievers.indexes.base_index import make_index
from retrievers.indexes.chunked import search_stream
from retrievers.indexes.dense import metric_of, normalised
from retrievers.pipelines.late import score_lists
from retrievers.token_vectors import Rows, TokenVectors

if TYPE_CHECKING:
    from mteb.abstasks import AbsTaskRetrieval


class LateModels(EncodedModels):
    """Token vectors `[t_i, d]` of each text;
    dimensions, precisions, indexes and pooling of tokens are views of them.
    """

    sees_views = True
    cuts_documents = False

    def views(self) -> list[View]:
        """Every dimension through every index that holds token vectors, once: a precision is the
        index with as many bits, and is recorded as that.
        """
        request, model = self.request, self.model
        if any(request.views.layers) or request.views.diagonal:
            raise UserError(
                f"{model.name} is a late-interaction model: its single layers are not seen.",
                "Leave --layers and --views out; --dims and --precision are for it.",
            )
        refuse_dimensions(model, request.views.dims)
        indexes = fitting(model.card.kind, request.views.indexes)
        views = cross((None,), request.views.dims, request.views.precisions, indexes)
        coded = (view._replace(index=_coded(view), precision="float32") for view in views)
        return list(dict.fromkeys(coded))

    def search(
        self,
        task: "AbsTaskRetrieval",
        data: RetrievalData,
        prepared: Prepared,
        view: View,
        *,
        k: int,
    ) -> SearchResult:
        queries, documents = prepared.vectors[view.layer]
        metric = metric_of(self.model.card.similarity)
        retriever = make_index(view.index, metric=metric)
        asked, chunks = self._query_vectors(queries, view), partial(self._chunks, documents, view)
        components = documents.components * (view.dim or documents.dim) // max(documents.dim, 1)
        if searching.streams(retriever, components, data):
            blocks = self._blocks(documents, view)
            result = searching.stream(
                retriever, blocks, asked, data,
                k=k, reporter=self.reporter, fleet=self.model.fleet,
            )  # fmt: skip
        else:
            result = searching.search(retriever, chunks(), asked, data, k=k, reporter=self.reporter)
            each = result.costs["index_bytes"] / max(len(data.document_ids), 1)
            result.costs["index_bytes_per_document"] = each
        if data.candidates is None:
            found = result.rows[:, :10]
            if retriever.exact:
                prepared.exact[view.dim] = found
            elif view.dim not in prepared.exact:
                exact = make_index("maxsim", metric=metric)
                blocks = self._blocks(documents, view)
                prepared.exact[view.dim] = search_stream(exact, blocks, asked, min(k, 10)).rows
            best = prepared.exact[view.dim]
            result.costs["recall_of_exact_at_10"] = index_costs.recall(
                Hits(found, result.scores), Hits(best, result.scores)
            )
        return result

    def score(
        self, tasks: Mapping[View, Any], split: str, subsets: list[str]
    ) -> Iterator[TaskResult]:
        return Protocol.score(self, tasks, split, subsets)

    def scorer(self, task: "AbsTaskRetrieval") -> "StoredTokens":
        """What ranks candidates in a composition."""
        return StoredTokens(self, task)

    def _size(self, data: RetrievalData, vectors: int) -> str:
        width = {"float32": 4, "float16": 2, "int8": 1}[self.encoder.options.store_dtype]
        return f"a vector of {self.model.card.dim * width:,} bytes for each token."

    def _query_vectors(self, queries: Vectors | MemoryVectors, view: View) -> TokenVectors:
        return self._seen(queries.read(), view)

    def _seen(self, vectors: Rows, view: View) -> TokenVectors:
        return _shaped(vectors, view)


class StoredTokens:
    """A second stage that encodes each candidate once, into the vector store, and scores by MaxSim.

    Candidates are read from there for some queries at a time.
    """

    def __init__(self, protocol: LateModels, task: "AbsTaskRetrieval") -> None:
        from mteb.types import PromptType

        model = protocol.model
        self._encoder, self._mean = protocol.encoder, model.card.similarity == "meanmaxsim"
        self.prompts = {
            role.value: prompt_for(model.card, model.fact("prompts"), task.metadata, role)
            for role in PromptType
        }
        self.cost = Cost()
        self.encode_seconds = 0.0  # now, reading from the store included
        # By role, where the vectors of each text are, and the bytes that they take once read.
        self._known: dict[str, dict[str, _Place]] = {"query": {}, "document": {}}

    def score_lists(
        self, queries: Sequence[str], lists: Sequence[list[str]]
    ) -> Sequence[np.ndarray]:
        """As `retrievers.pipelines.rerank.ListScorer`."""
        began, scores = time.perf_counter(), list[np.ndarray]()
        self._encode("query", queries)
        self._encode("document", (text for texts in lists for text in texts))
        self.encode_seconds += time.perf_counter() - began
        for part in self._groups(lists):
            began = time.perf_counter()
            distinct = list(dict.fromkeys(text for texts in lists[part] for text in texts))
            wanted, documents = self._read("query", queries[part]), self._read("document", distinct)
            self.encode_seconds += time.perf_counter() - began
            scores += score_lists(wanted, documents, distinct, lists[part], mean=self._mean)
        return scores

    def _encode(self, role: str, texts: Iterable[str]) -> None:
        known = self._known[role]
        if fresh := [text for text in dict.fromkeys(texts) if text not in known]:
            made, cost = self._encoder.encode(fresh, role=role, prompt=self.prompts[role])
            self.cost.add(cost)
            vectors = made[None]
            sizes = (4 * vectors.dim * vectors.tokens()).tolist()
            for row, (text, size) in enumerate(zip(fresh, sizes, strict=True)):
                known[text] = _Place(vectors, row, size)

    def _groups(self, lists: Sequence[list[str]]) -> Iterator[slice]:
        """Queries whose candidates are read together."""
        start = held = 0
        for place, texts in enumerate(lists):
            size = sum(self._known["document"][text].size for text in texts)
            if place > start and held + size > CHUNK_BYTES:
                yield slice(start, place)
                start, held = place, 0
            held += size
        yield slice(start, len(lists))

    def _read(self, role: str, texts: Sequence[str]) -> TokenVectors:
        places = [self._known[role][text] for text in texts]
        parts, order = list[TokenVectors](), list[int]()
        for vectors in dict.fromkeys(place.vectors for place in places):
            here = [n for n, place in enumerate(places) if place.vectors is vectors]
            part = vectors.at(np.array([places[n].row for n in here]))
            assert isinstance(part, TokenVectors)
            parts.append(part)
            order += here
        return TokenVectors.joined(parts)[np.argsort(order)] if parts else TokenVectors.of([])


class _Place(NamedTuple):
    vectors: Vectors | MemoryVectors
    row: int
    size: int


def _coded(view: View) -> str:
    """The index that holds a view's precision."""
    if view.precision == "float32":
        return view.index
    if "," in view.index or not make_index(view.index).codes:
        raise UserError(
            f"--precision {view.precision} goes with --index maxsim, not {view.index}.",
            "The bits of other indexes are their own setting: muvera:faiss:flat,bits=8.",
        )
    if view.precision == "float16":
        return make_index(view.index).codes["float16"]
    return coded(view.index, view.precision)


def _shaped(vectors: Rows, view: View) -> TokenVectors:
    """The first dimensions of token vectors, each of length 1 again after a cut."""
    assert isinstance(vectors, TokenVectors)  # of a late-interaction model
    if not view.dim or view.dim >= vectors.dim:
        return vectors
    cut = normalised(vectors.floats()[:, : view.dim])
    return TokenVectors(np.ascontiguousarray(cut), vectors.offsets - vectors.offsets[0])
