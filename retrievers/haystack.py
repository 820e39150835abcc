"""Any text retriever of ours as a component of a Haystack 2 pipeline."""

import asyncio
from typing import Any

from retrievers.base import Retriever
from retrievers.errors import RetrieverError

try:
    from haystack import Document, component
except ImportError as missing:
    raise RetrieverError("Haystack is not installed.", "Type: pip install 'embedlab[rag]'") from missing


@component
class HaystackRetriever:
    """Haystack's `TextRetriever` protocol. Documents carry their id and score, both in `meta` too.

    Filters are by id alone: {"field": "id", "operator": "in", "value": [...]}.
    """

    def __init__(self, retriever: Retriever, top_k: int = 10):
        self.retriever, self.top_k = retriever, top_k

    @component.output_types(documents=list[Document])
    def run(self, query: str, filters: dict[str, Any] | None = None, top_k: int | None = None) -> dict[str, Any]:
        """The best documents for one query: {"documents": [...]}."""
        hits = self.retriever.search([query], top_k or self.top_k, only=_ids(filters))
        documents = [
            Document(
                id=self.retriever.ids[row],
                content=self.retriever.text(row),
                meta={"id": self.retriever.ids[row], "score": score},
                score=score,
            )
            for row, score in zip(hits.rows[0].tolist(), hits.scores[0].tolist(), strict=True)
            if row >= 0
        ]
        return {"documents": documents}

    @component.output_types(documents=list[Document])
    async def run_async(
        self, query: str, filters: dict[str, Any] | None = None, top_k: int | None = None
    ) -> dict[str, Any]:
        """As `run`, in a thread."""
        return await asyncio.to_thread(self.run, query, filters, top_k)


def _ids(filters: dict[str, Any] | None) -> list[str] | None:
    if not filters:
        return None
    if filters.get("field") in ("id", "meta.id") and filters.get("operator") == "in":
        return filters["value"]
    raise RetrieverError(
        f"The filter {filters} is not by id.", 'Filter by {"field": "id", "operator": "in", "value": [ids]}.'
    )
