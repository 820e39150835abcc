"""Dense models: a vector for each text, and everything that is a view of it."""

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from embedlab.chunks import chunking
from embedlab.encoding.in_memory import MemoryVectors
from embedlab.encoding.vectors.stored_vectors import Vectors
from embedlab.encoding.vectors.views import View, coded, cross, shape
from embedlab.errors import UserError
from embedlab.evaluation import chunked_documents, searching
from embedlab.evaluation.protocols.encoded_models import EncodedModels, dense
from embedlab.evaluation.protocols.protocol import Prepared, SearchResult
from embedlab.evaluation.retrieval_data import RetrievalData
from embedlab.models.composition import fitting
from embedlab.models.loaded_model import LoadedModel
from retrievers import Hits, index_costs
from retrievers.indexes.base_index import make_index
from retrievers.indexes.chunked import search_stream
from retrievers.indexes.dense import metric_of
from retrievers.token_vectors import Rows

if TYPE_CHECKING:
    from mteb.abstasks import AbsTaskRetrieval

_TEXT_BYTES = 110  # ids, keys and places of a document, as measured


class DenseModels(EncodedModels):
    """A vector for each text, float32 `[n, d]`;
    layers, dimensions, precisions and indexes are views of it.
    """

    sees_views = True

    def views(self) -> list[View]:
        request, model = self.request, self.model
        if any(request.views.layers) and any(
            "late=yes" in each for each in request.views.chunkings
        ):
            raise UserError(
                "--chunk with late=yes pools the token vectors of the last layer.",
                "Leave --layers out, or late=yes.",
            )
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
        metric = metric_of("dot" if over == "mean" else similarity)
        retriever = make_index(spec, metric=metric)
        query_vectors = self._query_vectors(queries, view)
        chunks = self._documents(documents, view, prepared.pieces)
        if prepared.pieces and over == "max":
            return chunked_documents.search(
                retriever, chunks(), query_vectors, data, prepared.pieces, view.chunk,
                k=k, reporter=self.reporter,
            )  # fmt: skip
        blocks = partial(self._blocks, documents, view, prepared.pieces)
        components = len(documents) * query_vectors.shape[1]
        if searching.streams(retriever, components, data):
            if not retriever.exact:
                retriever.learn(next(chunks()))
            result = searching.stream(
                retriever, blocks(), query_vectors, data,
                k=k, reporter=self.reporter, fleet=self.model.fleet,
            )  # fmt: skip
        else:
            result = searching.search(
                retriever, chunks(), query_vectors, data, k=k, reporter=self.reporter
            )
        if not retriever.exact and data.candidates is None:
            exact = search_stream(
                make_index("torch", metric=metric), blocks(), query_vectors, min(k, 10)
            )
            ours = Hits(result.rows[:, :10], result.scores[:, :10])
            result.costs["recall_of_exact_at_10"] = index_costs.recall(ours, exact)
        return result

    def _size(self, data: RetrievalData, vectors: int) -> str:
        card = self.model.card
        width = card.dim * (2 if self.encoder.options.store_dtype == "float16" else 4)
        index = min(len(data.document_ids) * card.dim * 4, searching.STREAM_BYTES)
        held = index + 4 * card.parameters + _TEXT_BYTES * len(data.document_ids)
        return (
            f"vectors of {card.dim:,} dimensions, {vectors * width / 1e6:,.1f} MB on disk at most; "
            f"peak memory about {held / 1e9 + 1:,.1f} GB."
        )

    def _query_vectors(self, queries: Vectors | MemoryVectors, view: View) -> np.ndarray:
        return self._seen(queries.read(), view)

    def _seen(self, vectors: Rows, view: View) -> np.ndarray:
        return shape(dense(vectors), view, normalise=self.model.card.similarity == "cosine")


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
