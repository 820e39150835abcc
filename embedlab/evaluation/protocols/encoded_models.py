"""Models that give a vector for each text:
encoded once, into the vector store, and seen through every view.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from embedlab.chunks import chunking
from embedlab.compat.mteb_internals import scorings, set_seed
from embedlab.encoding.cost import Cost
from embedlab.encoding.encoder import Encoder
from embedlab.encoding.in_memory import MemoryVectors, ObjectEncoder
from embedlab.encoding.model_chunks import Cutter
from embedlab.encoding.server_encoder import ServerEncoder
from embedlab.encoding.vectors.stored_vectors import Vectors
from embedlab.encoding.vectors.views import View
from embedlab.errors import UserError
from embedlab.evaluation import chunked_documents, example_records, searching
from embedlab.evaluation.protocols.mteb_encoder import AnyEncoder, MtebEncoder
from embedlab.evaluation.protocols.protocol import Prepared, Protocol, SearchResult
from embedlab.evaluation.request import Request
from embedlab.evaluation.retrieval_data import RetrievalData
from embedlab.evaluation.streamed import Streamed
from embedlab.evaluation.task_result import TaskResult
from embedlab.models.loaded_model import LoadedModel
from embedlab.models.objects import ObjectModel
from embedlab.models.served.server_models import ServerModel
from embedlab.models.settings.prompts import prompt_for
from embedlab.progress import Reporter
from retrievers import Encoded, Retriever
from retrievers import Encoder as TextEncoder
from retrievers.indexes.base_index import make_index
from retrievers.indexes.chunked import numbered
from retrievers.indexes.dense import metric_of
from retrievers.pieces import Pieces, means
from retrievers.texts import Document, joined
from retrievers.token_vectors import Rows

if TYPE_CHECKING:
    from mteb.abstasks import AbsTaskRetrieval


CHUNK_BYTES = 1 << 27  # vectors read from the store at a time


class EncodedModels(Protocol):
    """What dense, sparse and multi-vector models have in common."""

    cuts_documents = True

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
            cutter = self._cutter(chunk, prompts[PromptType.document.value], cost)
            pieces = cutter(data.documents)
            texts_of[PromptType.document] = pieces.texts
            if pieces.vectors is not None:
                vectors[PromptType.document] = {None: MemoryVectors(pieces.vectors)}
                del texts_of[PromptType.document]
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

    def _cutter(self, chunk: str, prompt: str, cost: Cost) -> Cutter:
        """What cuts the documents, with the vectors that it takes for that from the store."""
        role = "document"

        def encode(texts: list[str]) -> np.ndarray:
            vectors, spent = self.encoder.encode(texts, role=role, prompt=prompt)
            cost.add(spent)
            return dense(vectors[None].read())

        def tokens(texts: Sequence[str]) -> Vectors:
            encoder = Encoder(
                self.model, self.request.encoding, reporter=self.reporter, tokens=True
            )
            vectors, spent = encoder.encode(texts, role=role, prompt=prompt)
            spent.truncated = 0  # windows are as long as the model reads, and no longer
            cost.add(spent)
            return vectors[None]

        return Cutter(self.model, chunking.parse(chunk), prompt, encode, tokens)

    def _documents(
        self, documents: Vectors | MemoryVectors, view: View, pieces: Pieces | None
    ) -> Callable[[], Iterator[Any]]:
        """What an index holds of the documents: their vectors, those of their chunks, or the means
        of these.
        """
        chunks = partial(self._chunks, documents, view)
        if pieces and chunking.parse(view.chunk).over == "mean":
            return lambda: means(chunks(), pieces.starts)
        return chunks

    def score(
        self, tasks: Mapping[View, Any], split: str, subsets: list[str]
    ) -> Iterator[TaskResult]:
        layers = list(dict.fromkeys(view.layer for view in tasks))
        for view, task in tasks.items():
            seen = MtebEncoder(self.encoder, view, layers)
            # As a task does when it is made, for whatever draws from the global generators.
            set_seed(task.seed)
            started = time.perf_counter()
            with scorings(task) as calls:
                scores = task.evaluate(seen, split, subsets_to_run=subsets, encode_kwargs={})
            examples = example_records.of_subsets(task, subsets, calls, scores)
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
                    examples=examples.get(subset),
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
        if searching.streams(index, documents.components, data):
            if not index.exact:
                index.learn(next(self._chunks(documents, view)))
            return Streamed(known, index, partial(self._blocks, documents, view), data), 0.0
        encoded = Encoded(known, index)
        encoded.borrow(data.documents)
        seconds = searching.fill(
            lambda rows, chunk: encoded.add(data.document_ids[rows], data.documents[rows], chunk),
            self._chunks(documents, view), len(data.document_ids), self.reporter,
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
        for chunk in documents.chunks(self._together(documents)):
            yield self._seen(chunk, view)

    def _blocks(
        self, documents: Vectors | MemoryVectors, view: View, pieces: Pieces | None = None
    ) -> Iterator[tuple[np.ndarray, Any]]:
        """What an index holds of the documents, with their rows, in the order in which the store
        has it.
        """
        if pieces:  # whose means are taken in their order
            yield from numbered(self._documents(documents, view, pieces)())
            return
        for rows, block in documents.blocks(self._together(documents)):
            yield rows, self._seen(block, view)

    def _together(self, documents: Vectors | MemoryVectors) -> int:
        """How many documents' vectors are read at a time."""
        of_each = 4 * documents.components / max(len(documents), 1)
        return max(1, int(CHUNK_BYTES / max(of_each, 1)))

    def _seen(self, vectors: Rows, view: View) -> Any:
        """Vectors as the view sees them."""
        return vectors


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
        chunks = self._documents(documents, view, prepared.pieces)
        query_vectors = self._query_vectors(queries, view)
        if prepared.pieces and chunking.parse(view.chunk).over == "max":
            return chunked_documents.search(
                index, chunks(), query_vectors, data, prepared.pieces, view.chunk,
                k=k, reporter=self.reporter,
            )  # fmt: skip
        if searching.streams(index, documents.components, data):
            blocks = self._blocks(documents, view, prepared.pieces)
            return searching.stream(
                index, blocks, query_vectors, data,
                k=k, reporter=self.reporter, fleet=self.model.fleet,
            )  # fmt: skip
        return searching.search(index, chunks(), query_vectors, data, k=k, reporter=self.reporter)

    def _size(self, data: RetrievalData, vectors: int) -> str:
        return f"sparse vectors of {self.model.card.dim:,} terms."

    def _query_vectors(self, queries: Vectors | MemoryVectors, view: View) -> Any:
        return queries.read()


def dense(vectors: Rows) -> np.ndarray:
    """Vectors `[n, d]` of a dense model."""
    assert isinstance(vectors, np.ndarray)  # of a dense model
    return vectors


def numbers(scores: Mapping[str, Any]) -> dict[str, float]:
    """The numbers among an evaluator's scores by their own names."""
    return {
        name: float(value)
        for name, value in scores.items()
        if isinstance(value, Real) and name != "main_score"
    }


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
