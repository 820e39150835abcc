"""Any text retriever of ours as LangChain's retriever, and any encoder as its embeddings."""

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from retrievers.base import Retriever
from retrievers.errors import RetrieverError
from retrievers.integrations.framework_filters import from_langchain
from retrievers.integrations.named_index import opened
from retrievers.pipelines.encoded import Encoder, as_lists

try:
    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings
    from langchain_core.retrievers import BaseRetriever
    from pydantic import PrivateAttr
except ImportError as missing:
    raise RetrieverError(
        "LangChain is not installed.", "Type: pip install 'embedlab[rag]'"
    ) from missing


class LangChainRetriever(BaseRetriever):
    """`LangChainRetriever(retriever=r, k=5).invoke("a question")`: documents with `id`, `score`,
    title in the metadata.

    `only`: ids that the search is limited to; None for all. `filter`: on the documents' metadata,
    as LangChain's vector stores take it, {"year": {"$gte": 2020}, "lang": "en"}, or a clause of
    ours. They can be given to one call too: `invoke(query, k=1)`.

    In the place of the retriever stands the folder of a saved index, where a chain is to be saved
    (`langchain_core.load.dumps`); it is read by `loads(text,
    allowed_objects=[LangChainRetriever, ...], valid_namespaces=["retrievers"])`.
    """

    retriever: Any
    k: int = 10
    only: Sequence[str] | None = None
    filter: str | dict[str, Any] | None = None
    _index: Retriever = PrivateAttr()

    def __init__(self, retriever: Retriever | str | Path, **fields: Any) -> None:
        index, folder = opened(retriever)
        super().__init__(**{"retriever": index if folder is None else folder, **fields})
        self._index = index

    @classmethod
    def is_lc_serializable(cls) -> bool:
        return True

    def to_json(self) -> Any:
        """What a saved chain says of this; of an index in memory, that it cannot be saved."""
        return (
            super().to_json()
            if isinstance(self.retriever, str)
            else (self.to_json_not_implemented())
        )

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: Any = None,
        k: int | None = None,
        only: Sequence[str] | None = None,
        filter: str | dict[str, Any] | None = None,
        **others: Any,
    ) -> list[Document]:
        if others:
            raise RetrieverError(
                f"A search has no setting {', '.join(others)}.",
                "It has k, only and filter: invoke(query, k=3).",
            )
        return [
            Document(
                id=document.id,
                page_content=document.text,
                metadata=document.facts,
            )
            for document in self._index.retrieve(
                query,
                self.k if k is None else k,
                self.only if only is None else only,
                from_langchain(filter or self.filter),
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
