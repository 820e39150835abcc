"""Documents cut for a model: its tokenizer counts, its vectors find changes of subject, and its
token vectors are pooled late.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from embedlab.chunks import chunking, cutting, semantic
from embedlab.chunks.chunking import Chunking
from embedlab.chunks.cutting import Tokens
from embedlab.encoding import late_chunks
from embedlab.encoding.late_chunks import Read
from embedlab.errors import UserError
from embedlab.models import LoadedModel
from embedlab.models.kinds import Kind
from retrievers.pieces import Pieces, Span

CUT = (Kind.DENSE, Kind.SPARSE, Kind.LEXICAL)  # searched in chunks
# The similarities that are inner products, of sparse models and of dense ones, whose vectors have
# length 1 for cosine.
_MEANS = (("dot",), ("dot", "cosine"))


def resolved(model: LoadedModel, spec: str) -> str:
    """The one spelling of a chunking for a model, whose limit is named where no size is.

    Raises:
        UserError: the model shows no tokenizer, has no vectors of the kind that the chunking takes,
            or does not read chunks of that size.
    """
    how, kind = chunking.parse(spec), model.card.kind
    if kind not in CUT:
        raise UserError(
            f"{model.name} is a {kind} model: --chunk is for dense and sparse ones and bm25.",
            "Leave --chunk out for it.",
        )
    limit = _limit(model)
    if kind.encodes:
        _refuse_without_spans(model)
    if how.size and limit and how.size > limit:
        raise UserError(
            f"--chunk {spec}: {model.name} reads {limit} tokens of a text.",
            f"Type size={limit} or less.",
        )
    size = how.size or limit
    if not size:
        raise UserError(
            f"{model.name} names no limit of tokens.", f"Type --chunk {how.method}:size=256"
        )
    if (how.method == "semantic" or how.late) and not kind.is_dense:
        what = "Late" if how.late else "Semantic"
        raise UserError(
            f"--chunk {spec}: {what.lower()} chunks are for dense models, and {model.name} is a"
            f" {kind} model.",
            "Type tokens, sentences or headings" + (", without late=yes." if how.late else "."),
        )
    similarity = model.card.similarity
    if how.over == "mean" and kind.encodes and similarity not in _MEANS[kind.is_dense]:
        raise UserError(
            f"--chunk {spec}: the mean is of inner products, and {model.name} ranks by"
            f" {similarity}.",
            "Type over=max or over=first.",
        )
    if how.late:
        late_chunks.following(model.encoder, model.name, "")
    return str(replace(how, size=size))


def refuse_fields(index: str) -> None:
    """Refuse an index of titles and texts apart.

    Raises:
        UserError: it is one.
    """
    if "multifield" in index:
        raise UserError(
            f"--index {index} keeps titles apart, and chunks are of title and text in one.",
            "Type --index lucene, or leave --chunk out.",
        )


@dataclass(frozen=True)
class Cutter:
    """Cuts texts as a model and a chunking say.

    Args:
        how: of a known size.
        prompt: what precedes every text.
        encode: the vectors `[n, d]` of sentences, for semantic chunks.
        tokens: the token vectors of texts, for late ones.
    """

    model: LoadedModel
    how: Chunking
    prompt: str
    encode: Callable[[list[str]], np.ndarray]
    tokens: Callable[[Sequence[str]], Read]

    def __call__(self, documents: Sequence[str]) -> Pieces:
        """The chunks of documents, with their vectors where they are late ones.

        Raises:
            UserError: a prompt leaves no room.
        """
        how, count = self.how, _tokens(self.model)
        size = self._room(how.size or 0, how.overlap)
        breaks = None
        if how.method == "semantic":
            breaks = semantic.breaks(documents, self.encode, how.percentile)
        chunks = cutting.pieces(
            documents, how.method, count, size=size, overlap=how.overlap, breaks=breaks
        )
        if how.parent:
            chunks = replace(chunks, shown=cutting.parents(documents, chunks, how.parent))
        if how.late:
            chunks = replace(chunks, vectors=self._late(documents, chunks))
        return chunks.first() if how.over == "first" else chunks

    def _late(self, documents: Sequence[str], chunks: Pieces) -> np.ndarray:
        size = self._room(_limit(self.model) or 0, 0)
        overlap = size // late_chunks.OVERLAP
        windows = cutting.pieces(
            documents, "tokens", _tokens(self.model), size=size, overlap=overlap
        )
        read = self.tokens(windows.texts)
        model = self.model
        return late_chunks.vectors(model.encoder, model.name, windows, chunks, read, self.prompt)

    def _room(self, size: int, overlap: int) -> int:
        """Tokens of a text that fit, beside prompt and special tokens."""
        if not self.model.card.kind.encodes:
            return size
        room: int = size - len(self.model.encoder.tokenizer(self.prompt)["input_ids"])
        if room <= overlap:
            raise UserError(
                f"--chunk {self.how} leaves {max(room, 0)} tokens beside prompt and special"
                f" tokens, with an overlap of {overlap}.",
                "Type a greater size, or a smaller overlap.",
            )
        return room


def _limit(model: LoadedModel) -> int | None:
    length: int | None = model.fact("max_length") if model.card.kind.encodes else None
    return length


def _refuse_without_spans(model: LoadedModel) -> None:
    if not getattr(getattr(model.encoder, "tokenizer", None), "is_fast", False):
        raise UserError(
            f"{model.name} shows no tokenizer that says where in a text its tokens stand.",
            "Leave --chunk out for it.",
        )


def _tokens(model: LoadedModel) -> Tokens:
    """The spans of a text's tokens; of its words, for a model that counts words."""
    if not model.card.kind.encodes:
        return lambda texts: [[match.span() for match in re.finditer(r"\S+", t)] for t in texts]
    tokenizer: Any = model.encoder.tokenizer

    def spans(texts: Sequence[str]) -> list[list[Span]]:
        found: list[list[Span]] = tokenizer(
            list(texts), add_special_tokens=False, truncation=False, padding=False,
            return_offsets_mapping=True, verbose=False,
        )["offset_mapping"]  # fmt: skip
        return found

    return spans
