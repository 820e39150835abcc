"""Any text retriever of ours as LlamaIndex's retriever, and any encoder as its embedding model."""

import asyncio
from collections.abc import Sequence
from typing import Any

from retrievers.base import Retriever
from retrievers.errors import RetrieverError
from retrievers.pipelines.encoded import Encoder, as_lists

try:
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from llama_index.core.retrievers import BaseRetriever
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
except ImportError as missing:
    raise RetrieverError(
        "LlamaIndex is not installed.", "Type: pip install 'embedlab[rag]'"
    ) from missing


class LlamaIndexRetriever(BaseRetriever):
    """Nodes carry the document ids (LlamaIndex's evaluators compare node ids),
    and `id`, `score`, title as metadata.

    `options` are LlamaIndex's own, such as `callback_manager`.
    """

    def __init__(
        self, retriever: Retriever, k: int = 10, only: Sequence[str] | None = None, **options: Any
    ):
        self.retriever, self.k, self.only = retriever, k, only
        super().__init__(**options)

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
            for document in self.retriever.retrieve(query_bundle.query_str, self.k, self.only)
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
