"""Models that give a vector for each text:
encoded once, into the vector store, and seen through every view.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from embedlab.chunks import chunking
from embedlab.compat.mteb_internals import set_seed
from embedlab.encoding.cost import Cost
from embedlab.encoding.encoder import Encoder
from embedlab.encoding.in_memory import MemoryVectors, ObjectEncoder
from embedlab.encoding.server_encoder import ServerEncoder
from embedlab.encoding.vectors.stored_vectors import Vectors
from embedlab.encoding.vectors.views import View, coded, cross, shape
from embedlab.errors import UserError
from embedlab.evaluation import chunked_documents, searching
from embedlab.evaluation.protocols.mteb_encoder import AnyEncoder, MtebEncoder
from embedlab.evaluation.protocols.protocol import Prepared, Protocol, SearchResult
from embedlab.evaluation.request import Request
from embedlab.evaluation.retrieval_data import RetrievalData
from embedlab.evaluation.task_result import TaskResult
from embedlab.models.composition import fitting
from embedlab.models.loaded_model import LoadedModel
from embedlab.models.objects import ObjectModel
from embedlab.models.served.server_models import ServerModel
from embedlab.models.settings.prompts import prompt_for
from embedlab.progress import Reporter
from retrievers import Encoded, Hits, Retriever, index_costs
from retrievers import Encoder as TextEncoder
from retrievers.indexes.base_index import make_index
from retrievers.indexes.chunked import search_stream
from retrievers.indexes.dense import metric_of
from retrievers.texts import Document, joined
from retrievers.token_vectors import Rows

if TYPE_CHECKING:
    from mteb.abstasks import AbsTaskRetrieval


CHUNK_BYTES = 1 << 27  # vectors read from the store at a time
# An exact index larger than this is searched chunk by chunk instead of being built.
STREAM_BYTES = 1 << 30


class EncodedModels(Protocol):
    """What dense, sparse and multi-vector models have in common."""

    def __init__(self, request: Request, model: LoadedModel, reporter: Reporter) -> None:
        super().__init__(request, model, reporter)
        self.encoder: AnyEncoder
        if isinstance(model, ObjectModel):  # whose vectors have no store
            if any(request.views.layers):
                raise UserError(
                    f"{model.name} is an object whose layers nobody sees.",
                    "Leave layers out, or give it by name or folder.",
                )
            self.encoder = ObjectEncoder(model, reporter)
        elif isinstance(model, ServerModel):
            if any(request.views.layers):
                raise UserError(
                    f"{model.name} is behind a server, and its layers are not to be seen.",
                    "Leave layers out.",
                )
            self.encoder = ServerEncoder(model, request.encoding, reporter)
        else:
            self.encoder = Encoder(model, request.encoding, reporter=reporter)

    def prepare(
        self, task: "AbsTaskRetrieval", data: RetrievalData, views: Sequence[View]
    ) -> Prepared:
        """Vectors of queries and documents, or their chunks, by layer: layer -> (queries,
        documents). All views cut documents alike.
        """
        from mteb.types import PromptType

        layers = list(dict.fromkeys(view.layer for view in views))
        self.reporter.say(self._forecast(data, len(layers)))
        cost = Cost()
        vectors: dict[PromptType, Mapping[int | None, Vectors | MemoryVectors]] = {}
        texts_of = {PromptType.query: data.queries, PromptType.document: data.documents}
        prompts = {
            role.value: prompt_for(self.model.card, self.model.fact("prompts"), task.metadata, role)
            for role in texts_of
        }
        pieces = None
        if chunk := views[0].chunk:
            prompt = prompts[PromptType.document.value]
            pieces = chunked_documents.cut_for(self.model, chunk, data.documents, prompt)
            texts_of[PromptType.document] = pieces.texts
        if isinstance(self.encoder, ServerEncoder):  # before anything is paid for
            asked = {(role.value, prompts[role.value]): texts for role, texts in texts_of.items()}
            self.encoder.check_budget(asked, task.metadata.name)
        for role, texts in texts_of.items():
            vectors[role], spent = self.encoder.encode(
                texts, role=role.value, prompt=prompts[role.value], layers=layers
            )
            cost.add(spent)
        queries, documents = vectors[PromptType.query], vectors[PromptType.document]
        return Prepared(
            {layer: (queries[layer], documents[layer]) for layer in layers}, prompts, cost, pieces
        )

    def score(
        self, tasks: Mapping[View, Any], split: str, subsets: list[str]
    ) -> Iterator[TaskResult]:
        layers = list(dict.fromkeys(view.layer for view in tasks))
        for view, task in tasks.items():
            seen = MtebEncoder(self.encoder, view, layers)
            # As a task does when it is made, for whatever draws from the global generators.
            set_seed(task.seed)
            started = time.perf_counter()
            scores = task.evaluate(seen, split, subsets_to_run=subsets, encode_kwargs={})
            seconds = time.perf_counter() - started
            cost = seen.cost.of(view.layer)
            phases = {"encode": cost.seconds, "score": seconds - seen.cost.seconds}
            for subset in subsets:
                yield TaskResult(
                    split,
                    subset,
                    view,
                    numbers(scores[subset]),
                    cost.named(),
                    phases,
                    cost=cost,
                    prompts=seen.prompts,
                )

    def retriever(
        self, spec: str, data: RetrievalData, prepared: Prepared
    ) -> tuple[Retriever, float]:
        queries, documents = prepared.vectors[None]
        index, view = (
            make_index(spec, metric=metric_of(self.model.card.similarity)),
            View(index=spec),
        )
        row_of = {text: row for row, text in enumerate(data.queries)}
        known = _Known(
            None, self.model.identity, row_of=row_of, vectors=self._query_vectors(queries, view)
        )
        encoded = Encoded(known, index)
        seconds = searching.fill(
            lambda rows, chunk: encoded.add(data.document_ids[rows], data.documents[rows], chunk),
            self._chunks(documents, view), data, self.reporter,
        )  # fmt: skip
        return encoded, seconds

    def _forecast(self, data: RetrievalData, layers: int) -> str:
        """What the encoding pass will leave on disk and hold in memory, before it begins."""
        texts = len(data.queries) + len(data.documents)
        line = f"{texts:,} texts x {layers} layers" if layers > 1 else f"{texts:,} texts"
        return f"{line}: {self._size(data, texts * layers)}"

    def _size(self, data: RetrievalData, vectors: int) -> str:
        raise NotImplementedError

    def _query_vectors(self, queries: Vectors | MemoryVectors, view: View) -> Any:
        """The queries as the view sees them."""
        raise NotImplementedError

    def _chunks(self, documents: Vectors | MemoryVectors, view: View) -> Iterator[Any]:
        """The documents as the view sees them, chunk by chunk."""
        raise NotImplementedError


class SparseModels(EncodedModels):
    """A weight for each term of a vocabulary: CSR matrices `[n, |V|]`."""

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
        index = make_index(view.index, metric=metric_of(self.model.card.similarity))
        chunks, query_vectors = self._chunks(documents, view), self._query_vectors(queries, view)
        return searching.search(index, chunks, query_vectors, data, k=k, reporter=self.reporter)

    def _size(self, data: RetrievalData, vectors: int) -> str:
        return f"sparse vectors of {self.model.card.dim:,} terms."

    def _query_vectors(self, queries: Vectors | MemoryVectors, view: View) -> Any:
        return queries.read()

    def _chunks(self, documents: Vectors | MemoryVectors, view: View) -> Iterator[Any]:
        return documents.chunks()


class DenseModels(EncodedModels):
    """A vector for each text, float32 `[n, d]`;
    layers, dimensions, precisions and indexes are views of it.
    """

    sees_views = True

    def views(self) -> list[View]:
        request, model = self.request, self.model
        indexes = fitting(model.card.kind, request.views.indexes)
        pairs = model.fact("views")
        pairs = pairs if pairs == "any" else [tuple(pair) for pair in pairs]
        if request.views.diagonal:
            if pairs == "any":
                raise UserError(
                    f"{model.name} declares no pairs of layer and dimensions.",
                    "Leave --views out and give --layers and --dims.",
                )
            return self._cut(cross((), (), request.views.precisions, indexes, pairs=pairs))
        requested = cross(
            request.views.layers, request.views.dims, request.views.precisions, indexes
        )
        if pairs == "any" and not any(view.layer for view in requested):
            refuse_dimensions(model, [view.dim for view in requested])
        elif any(view[:2] != (None, None) for view in requested):
            wanted = list(dict.fromkeys((view.layer or 0, view.dim or 0) for view in requested))
            check = partial(_refuse_missing, model, wanted, request.views.force)
            # Remembered, so that a warm run need not load the model for it.
            model.remembered.get(f"has views {wanted} {request.views.force}", check)
        return self._cut(requested)

    def _cut(self, views: list[View]) -> list[View]:
        """The views of each way to cut documents."""
        chunkings = self.request.views.chunkings
        return [view._replace(chunk=chunk) for chunk in chunkings for view in views]

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
        spec, similarity = coded(view.index, view.precision), self.model.card.similarity
        over = chunking.parse(view.chunk).over if prepared.pieces else ""
        if over == "mean":
            similarity = chunked_documents.similarity_of_means(self.model, view.chunk)
        metric = metric_of(similarity)
        retriever = make_index(spec, metric=metric)
        query_vectors = self._query_vectors(queries, view)
        chunks: Callable[[], Iterator[np.ndarray]] = partial(self._chunks, documents, view)
        if prepared.pieces and over == "max":
            return chunked_documents.search_best(
                retriever, chunks(), query_vectors, data, prepared.pieces,
                k=k, reporter=self.reporter,
            )  # fmt: skip
        if prepared.pieces:
            pieces, whole = prepared.pieces, chunks
            chunks = lambda: chunked_documents.one_for_each(whole(), pieces, over)  # noqa: E731
        if (
            retriever.exact
            and data.candidates is None
            and len(data.documents) * query_vectors.shape[1] * 4 > STREAM_BYTES
        ):
            return searching.stream(
                spec, chunks(), query_vectors, data, k=k, metric=metric, reporter=self.reporter
            )
        result = searching.search(
            retriever, chunks(), query_vectors, data, k=k, reporter=self.reporter
        )
        if not retriever.exact and data.candidates is None:
            exact = search_stream("torch", chunks(), query_vectors, min(k, 10), metric=metric)
            ours = Hits(result.rows[:, :10], result.scores[:, :10])
            result.costs["recall_of_exact_at_10"] = index_costs.recall(ours, exact)
        return result

    def _size(self, data: RetrievalData, vectors: int) -> str:
        card = self.model.card
        width = card.dim * (2 if self.encoder.options.store_dtype == "float16" else 4)
        index = min(len(data.documents) * card.dim * 4, STREAM_BYTES)
        held = sum(map(len, data.documents)) + index + 4 * card.parameters
        return (
            f"vectors of {card.dim:,} dimensions, {vectors * width / 1e6:,.1f} MB on disk at most; "
            f"peak memory about {held / 1e9 + 1:,.1f} GB."
        )

    def _query_vectors(self, queries: Vectors | MemoryVectors, view: View) -> np.ndarray:
        return shape(_dense(queries.read()), view, normalise=self.model.card.similarity == "cosine")

    def _chunks(self, documents: Vectors | MemoryVectors, view: View) -> Iterator[np.ndarray]:
        for chunk in documents.chunks(CHUNK_BYTES // (4 * documents.dim)):
            yield shape(_dense(chunk), view, normalise=self.model.card.similarity == "cosine")


def _dense(vectors: Rows) -> np.ndarray:
    assert isinstance(vectors, np.ndarray)  # of a dense model
    return vectors


def numbers(scores: Mapping[str, Any]) -> dict[str, float]:
    """The numbers among an evaluator's scores by their own names."""
    return {
        name: float(value)
        for name, value in scores.items()
        if isinstance(value, Real) and name != "main_score"
    }


def refuse_dimensions(model: LoadedModel, dims: Iterable[int | None]) -> None:
    """Refuse to cut vectors to dimensions that they do not have; None, or 0, stands for all.

    Raises:
        UserError: names the first, and the valid ones.
    """
    if wrong := [dim for dim in dims if dim and not 1 <= dim <= model.card.dim]:
        raise UserError(
            f"{model.name} has no {wrong[0]} dimensions.",
            f"Valid are dimensions 1 to {model.card.dim}.",
        )


def _refuse_missing(model: LoadedModel, pairs: list[tuple[int, int]], force: bool) -> None:
    """Refuse (layer, dimension) pairs that the model does not have or was not trained for;
    0 stands for all.
    """
    from embedlab.encoders.modules.layers import number_of_layers
    from embedlab.encoders.modules.matryoshka import check_views

    depth = number_of_layers(model.encoder)
    check_views(
        model.encoder,
        [(layer or depth, dim or model.card.dim) for layer, dim in pairs],
        force=force,
    )


@dataclass(frozen=True)
class _Known(TextEncoder):
    """An encoder of queries whose vectors are known:
    latency is then that of the search, as for a single model.
    """

    row_of: Mapping[str, int] = field(default_factory=dict)
    vectors: Any = None

    def encode_queries(self, texts: Sequence[Document]) -> Rows:
        chosen: Rows = self.vectors[np.array([self.row_of[joined(text)] for text in texts])]
        return chosen
