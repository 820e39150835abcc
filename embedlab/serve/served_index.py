"""An index, and the models in it, as many clients ask them at once."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from embedlab.errors import unknown
from embedlab.serve.shared_passes import Refusal, SharedPasses
from retrievers import Encoded, Encoder, Retriever, RetrieverError, ties
from retrievers.base import Passage, all_parts
from retrievers.pipelines.rerank import Reranked
from retrievers.where import fields_of

K = 10  # documents, where nobody says
BATCH = 32  # sentence-transformers' own: texts in one forward pass
_WAITING = 4096  # texts
ROLES = ("query", "document", "text")

HasLeft = Callable[[], Awaitable[bool]]


@dataclass(frozen=True)
class _Search:
    """What is asked of queries. A fusion's depth and a graph's beam grow with `k`: only queries
    of the same `k`, among the same documents, may be searched together.
    """

    k: int
    where: str = ""


@dataclass(frozen=True)
class _Embedding:
    """What is asked of texts."""

    model: str
    role: str


@dataclass(frozen=True)
class Vectors:
    """Embeddings, float32 `[n, d]`, and the tokens that the model read, where they are known."""

    rows: np.ndarray
    tokens: int | None


class ServedIndex:
    """Searches an index and encodes with its models, one pass at a time.

    Args:
        retriever: of texts.
        name: how the index is called.
        batch: texts in a pass. By default 32, and 1 where a model computes in half precision: there
            the texts beside a text move its scores by more than the last digits of float32.
        max_k: documents that a search may ask for.
        seconds: that an answer may take.
    """

    def __init__(
        self,
        retriever: Retriever,
        name: str,
        *,
        batch: int | None = None,
        max_k: int = 1000,
        seconds: float = 60,
    ) -> None:
        self.retriever, self.name, self.max_k = retriever, name, max_k
        self.batch = batch or (1 if any(map(_is_half, _models(retriever))) else BATCH)
        self._passes = SharedPasses(self._compute, most=self.batch, room=_WAITING, seconds=seconds)

    @cached_property
    def encoders(self) -> dict[str, Encoder]:
        """The dense encoders of the index, which `embeddings` uses, by their names without
        settings and folders; by their whole names where two would be one.
        """
        dense = [
            part.encoder
            for part in all_parts(self.retriever)
            if isinstance(part, Encoded) and part.vectors.takes == "dense"
        ]
        plain = [_plain(encoder.name) for encoder in dense]
        if len(set(plain)) < len({encoder.name for encoder in dense}):
            plain = [encoder.name for encoder in dense]
        return dict(zip(plain, dense, strict=True))

    @cached_property
    def fields_said(self) -> str:
        """The fields that a filter may name, with the kind of each."""
        return f"The fields are: {fields_of(self.retriever.columns)}."

    async def search(
        self,
        query: str,
        k: int | None = None,
        where: str = "",
        *,
        has_left: HasLeft | None = None,
    ) -> list[dict[str, Any]]:
        """The best documents for a query, best first: rank, id, score, text, metadata.

        Args:
            k: how many; 10 by default, and all where the index has fewer.
            where: a filter on the documents' metadata.

        Raises:
            Refusal: the query is empty, `k` is too large, or the filter is malformed or does not
                fit the documents.
        """
        if not query.strip():
            raise Refusal("The query is empty.", 422)
        if k is not None and not 1 <= k <= self.max_k:
            raise Refusal(f"k is {k}, and this server gives 1 to {self.max_k} documents.", 422)
        _check_texts([query, where])
        kind = _Search(min(k or min(K, self.max_k), len(self.retriever.ids)), where)
        found: list[dict[str, Any]] = (await self._answers(kind, [query], has_left))[0]
        return found

    async def embeddings(
        self,
        model: str,
        texts: Sequence[str],
        role: str = "text",
        *,
        has_left: HasLeft | None = None,
    ) -> Vectors:
        """The vectors of texts.

        Args:
            model: one of `encoders`.
            role: "query" or "document", with the prompts that the index was built with; "text":
                as they are.

        Raises:
            Refusal: there is no such model.
        """
        if model not in self.encoders:
            raise Refusal(self._no_such_model(model), 404)
        _check_texts(texts)
        answers = await self._answers(_Embedding(model, role), texts, has_left)
        counts = [tokens for _, tokens in answers]
        known = all(count is not None for count in counts)
        return Vectors(np.stack([row for row, _ in answers]), sum(counts) if known else None)

    def _no_such_model(self, model: str) -> str:
        if not self.encoders:
            return "This index has no model that gives dense vectors."
        error = unknown("model", model, self.encoders)
        return f"{error} This index has: {', '.join(self.encoders)}."

    async def _answers(
        self, kind: Any, texts: Sequence[str], has_left: HasLeft | None
    ) -> list[Any]:
        return await self._passes.answers(kind, texts, *filter(None, [has_left]))

    def _compute(self, kind: _Search | _Embedding, texts: list[str]) -> Sequence[Any]:
        if isinstance(kind, _Embedding):
            return embedded(self.encoders[kind.model], texts, kind.role)
        try:
            only = self.retriever.allowed(None, kind.where)
        except RetrieverError as error:
            raise Refusal(f"{error} {error.hint}", 422) from None
        hits = ties.search(self.retriever, texts, kind.k, only=only)
        return [
            found(self.retriever, rows, scores, passages)
            for rows, scores, passages in zip(
                hits.rows.tolist(),
                hits.scores.tolist(),
                self.retriever.passages(texts, hits.rows),
                strict=True,
            )
        ]

    def close(self) -> None:
        """End the thread that computes."""
        self._passes.close()


def _check_texts(texts: Sequence[str]) -> None:
    """Refuse what JSON can write and no tokenizer reads: a half of a surrogate pair."""
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise Refusal("A text holds half a character (a lone surrogate).", 422) from None


def found(
    retriever: Retriever,
    rows: Sequence[int],
    scores: Sequence[float],
    passages: Sequence[Passage],
) -> list[dict[str, Any]]:
    """The documents of one query's hits, each with its text, or that of its best chunk and where
    this stands.
    """
    said = iter(passages)
    return [
        {
            "rank": rank,
            "id": retriever.ids[row],
            "score": score,
            "text": passage.text,
            **({} if passage.start is None else {"start": passage.start, "end": passage.end}),
            "metadata": retriever.metadata(row),
        }
        for rank, (row, score) in enumerate(zip(rows, scores, strict=True), 1)
        if row >= 0
        for passage in [next(said)]
    ]


def embedded(encoder: Encoder, texts: list[str], role: str) -> list[tuple[np.ndarray, int | None]]:
    """Each text's vector, float32 `[d]`, and how many tokens the model read of it."""
    if role == "query":
        rows = encoder.encode_queries(texts)
    elif role == "document":
        rows = encoder.encode_documents(texts)
    else:
        rows = np.asarray(encoder.model.encode(texts, prompt=""))
    prompts = {"query": encoder.query, "document": encoder.document}.get(role, {})
    counts = _tokens(encoder.model, texts, prompts.get("prompt"))
    return list(zip(np.asarray(rows, dtype=np.float32), counts, strict=True))


def _tokens(model: Any, texts: list[str], prompt: str | None) -> list[int] | list[None]:
    """The tokens of each text with its prompt and the model's own; None of a model elsewhere."""
    if not hasattr(model, "preprocess"):
        return [None] * len(texts)
    mask = model.preprocess(texts, prompt=prompt or None).get("attention_mask")
    return [None] * len(texts) if mask is None else [int(row.sum()) for row in mask]


def _plain(name: str) -> str:
    """A model's name without its settings, of a folder the last part."""
    plain = name.partition("?")[0]
    return Path(plain).name if Path(plain).is_dir() else plain


def _models(retriever: Retriever) -> Iterator[Any]:
    """All that computes in a retriever."""
    for part in all_parts(retriever):
        if isinstance(part, Encoded):
            yield part.encoder.model
        elif isinstance(part, Reranked):
            scorer = part.stage.scorer
            yield getattr(scorer, "model", getattr(scorer, "encoder", scorer))


def _is_half(model: Any) -> bool:
    parameters = getattr(model, "parameters", None)
    return parameters is not None and any(
        each.is_floating_point() and each.itemsize < 4 for each in parameters()
    )
