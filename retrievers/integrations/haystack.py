"""Any text retriever of ours as a component of a Haystack 2 pipeline."""

import asyncio
from pathlib import Path
from typing import Any

from retrievers.base import Retriever
from retrievers.errors import RetrieverError
from retrievers.integrations.framework_filters import from_haystack
from retrievers.integrations.named_index import opened, required

try:
    from haystack import Document, component, default_from_dict, default_to_dict
except ImportError as missing:
    raise RetrieverError(
        "Haystack is not installed.", "Type: pip install 'embedlab[rag]'"
    ) from missing


@component
class HaystackRetriever:
    """Haystack's `TextRetriever` protocol.
    Documents carry their id, score and title, all in `meta` too.

    Args:
        retriever: a text retriever, or the folder of a saved index, which a pipeline in YAML names.
            Haystack reads such a pipeline with `Pipeline.loads(text,
            allowed_modules=["retrievers.integrations.haystack"])`.
        top_k: documents for each query.
        filters: on the documents' metadata, as Haystack has them, or a clause of ours; those of one
            call take their place. A field that no document has is an error.
    """

    def __init__(
        self,
        retriever: Retriever | str | Path,
        top_k: int = 10,
        filters: dict[str, Any] | str | None = None,
    ):
        self.retriever, self.folder = opened(retriever)
        self.top_k, self.filters = top_k, filters

    def to_dict(self) -> dict[str, Any]:
        """For `Pipeline.dumps`.

        Raises:
            RetrieverError: the retriever lies in memory alone.
        """
        folder = required(self.folder, "HaystackRetriever")
        return default_to_dict(self, retriever=folder, top_k=self.top_k, filters=self.filters)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "HaystackRetriever":
        """For `Pipeline.loads`; loads the index."""
        return default_from_dict(cls, data)

    @component.output_types(documents=list[Document])
    def run(
        self, query: str, filters: dict[str, Any] | None = None, top_k: int | None = None
    ) -> dict[str, Any]:
        """The best documents for one query: {"documents": [...]}."""
        documents = [
            Document(
                id=document.id,
                content=document.text,
                meta=document.facts,
                score=document.score,
            )
            for document in self.retriever.retrieve(
                query,
                self.top_k if top_k is None else top_k,
                where=from_haystack(filters or self.filters),
            )
        ]
        return {"documents": documents}

    @component.output_types(documents=list[Document])
    async def run_async(
        self, query: str, filters: dict[str, Any] | None = None, top_k: int | None = None
    ) -> dict[str, Any]:
        """As `run`, in a thread."""
        return await asyncio.to_thread(self.run, query, filters, top_k)
