"""Any text retriever of ours as LangChain's retriever, and any encoder as its embeddings."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

from retrievers.base import Retriever
from retrievers.errors import RetrieverError
from retrievers.pipelines.encoded import Encoder, as_lists

try:
    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings
    from langchain_core.retrievers import BaseRetriever
except ImportError as missing:
    raise RetrieverError(
        "LangChain is not installed.", "Type: pip install 'embedlab[rag]'"
    ) from missing


class LangChainRetriever(BaseRetriever):
    """`LangChainRetriever(retriever=r, k=5).invoke("a question")`: documents with `id`, `score`,
    title in the metadata.

    `only`: ids that the search is limited to; None for all. Both can be given to one call too:
    `invoke(query, k=1)`.
    """

    retriever: Any
    k: int = 10
    only: Sequence[str] | None = None

    def __init__(self, retriever: Retriever, **fields: Any) -> None:
        super().__init__(**{"retriever": retriever, **fields})

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: Any = None,
        k: int | None = None,
        only: Sequence[str] | None = None,
        **others: Any,
    ) -> list[Document]:
        if others:
            raise RetrieverError(
                f"A search has no setting {', '.join(others)}.",
                "It has k and only: invoke(query, k=3).",
            )
        return [
            Document(
                id=document.id,
                page_content=document.text,
                metadata=document.facts,
            )
            for document in self.retriever.retrieve(
                query, self.k if k is None else k, self.only if only is None else only
            )
        ]

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: Any = None, **settings: Any
    ) -> list[Document]:
        return await asyncio.to_thread(partial(self._get_relevant_documents, query, **settings))


class LangChainEmbeddings(Embeddings):
    """A dense encoder for LangChain's vector stores;
    the async forms are LangChain's own, in a thread.
    """

    def __init__(self, encoder: Encoder):
        self.encoder = encoder

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return as_lists(self.encoder.encode_documents(texts))

    def embed_query(self, text: str) -> list[float]:
        return as_lists(self.encoder.encode_queries([text]))[0]
