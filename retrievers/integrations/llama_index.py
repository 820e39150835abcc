"""Any text retriever of ours as LlamaIndex's retriever, and any encoder as its embedding model."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from retrievers.base import Retriever
from retrievers.errors import RetrieverError
from retrievers.integrations.framework_filters import from_llama_index
from retrievers.integrations.named_index import opened, required
from retrievers.pipelines.encoded import Encoder, as_lists

try:
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from llama_index.core.retrievers import BaseRetriever
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
    from llama_index.core.vector_stores import MetadataFilters
except ImportError as missing:
    raise RetrieverError(
        "LlamaIndex is not installed.", "Type: pip install 'embedlab[rag]'"
    ) from missing


class LlamaIndexRetriever(BaseRetriever):
    """Nodes carry the document ids (LlamaIndex's evaluators compare node ids),
    and `id`, `score`, title as metadata.

    Args:
        retriever: a text retriever, or the folder of a saved index.
        k: documents for each query.
        only: ids that the search is limited to.
        filters: on the documents' metadata, `MetadataFilters` or a clause of ours.
        options: LlamaIndex's own, such as `callback_manager`.
    """

    def __init__(
        self,
        retriever: Retriever | str | Path,
        k: int = 10,
        only: Sequence[str] | None = None,
        filters: MetadataFilters | str | None = None,
        **options: Any,
    ):
        self.retriever, self.folder = opened(retriever)
        self.k, self.only, self.filters = k, only, filters
        super().__init__(**options)

    def to_dict(self) -> dict[str, Any]:
        """All that `from_dict` needs, as JSON holds it.

        Raises:
            RetrieverError: the retriever lies in memory alone.
        """
        filters = self.filters
        return {
            "retriever": required(self.folder, "LlamaIndexRetriever"),
            "k": self.k,
            "only": None if self.only is None else list(self.only),
            "filters": filters.model_dump(mode="json")
            if isinstance(filters, MetadataFilters)
            else filters,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any], **options: Any) -> "LlamaIndexRetriever":
        """The retriever that `to_dict` described; loads the index."""
        filters = data["filters"]
        if isinstance(filters, dict):
            filters = MetadataFilters.model_validate(filters)
        return cls(**{**data, "filters": filters}, **options)

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [
            NodeWithScore(
                node=TextNode(
                    id_=document.id,
                    text=document.text,
                    metadata=document.facts,
                    # What the generator reads is the text alone.
                    excluded_llm_metadata_keys=list(document.facts),
                    excluded_embed_metadata_keys=list(document.facts),
                ),
                score=document.score,
            )
            for document in self.retriever.retrieve(
                query_bundle.query_str, self.k, self.only, from_llama_index(self.filters)
            )
        ]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await asyncio.to_thread(self._retrieve, query_bundle)


class LlamaIndexEmbedding(BaseEmbedding):
    """A dense encoder as LlamaIndex's embedding model."""

    encoder: Any

    def __init__(self, encoder: Encoder, **fields: Any):
        super().__init__(**{"encoder": encoder, "model_name": encoder.name or encoder.id, **fields})

    def _get_query_embedding(self, query: str) -> list[float]:
        return as_lists(self.encoder.encode_queries([query]))[0]

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return await asyncio.to_thread(self._get_query_embedding, query)

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return as_lists(self.encoder.encode_documents(texts))
