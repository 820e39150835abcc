"""Any text retriever of ours as LangChain's retriever, and any encoder as its embeddings."""

import asyncio
from collections.abc import Sequence
from typing import Any

from retrievers.base import Retriever
from retrievers.encoded import Encoder
from retrievers.errors import RetrieverError

try:
    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings
    from langchain_core.retrievers import BaseRetriever
except ImportError as missing:
    raise RetrieverError("LangChain is not installed.", "Type: pip install 'embedlab[rag]'") from missing


class LangChainRetriever(BaseRetriever):
    """`LangChainRetriever(retriever=r, k=5).invoke("a question")`: documents with `id` and `score` in the metadata.

    `only`: ids that the search is limited to; None for all.
    """

    retriever: Any
    k: int = 10
    only: Sequence[str] | None = None

    def __init__(self, retriever: Retriever, **fields):
        super().__init__(retriever=retriever, **fields)

    def _get_relevant_documents(self, query: str, *, run_manager=None) -> list[Document]:
        hits = self.retriever.search([query], self.k, only=self.only)
        return [
            Document(
                id=self.retriever.ids[row],
                page_content=self.retriever.text(row) or "",
                metadata={"id": self.retriever.ids[row], "score": score},
            )
            for row, score in zip(hits.rows[0].tolist(), hits.scores[0].tolist(), strict=True)
            if row >= 0
        ]

    async def _aget_relevant_documents(self, query: str, *, run_manager=None) -> list[Document]:
        return await asyncio.to_thread(self._get_relevant_documents, query)


class LangChainEmbeddings(Embeddings):
    """A dense encoder for LangChain's vector stores; the async forms are LangChain's own, in a thread."""

    def __init__(self, encoder: Encoder):
        self.encoder = encoder

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.encoder.encode_documents(texts).tolist()

    def embed_query(self, text: str) -> list[float]:
        return self.encoder.encode_queries([text])[0].tolist()
