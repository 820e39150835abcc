"""An index of a corpus in chunks, cut as an evaluation with the same model cuts them."""

from collections.abc import Callable, Sequence

import numpy as np

import retrievers
from embedlab.chunks import chunking
from embedlab.encoding import late_chunks, model_chunks
from embedlab.models import LoadedModel
from embedlab.watched_encoder import WatchedEncoder
from retrievers.indexes.base_index import make_index
from retrievers.indexes.dense import metric_of
from retrievers.pieces import Pieces
from retrievers.pipelines.by_chunks import Chunked
from retrievers.pipelines.chunk_store import Cut
from retrievers.pipelines.encoded import index_for


class _Progress:
    """Tells in documents what is done of their chunks."""

    def __init__(self, advance: Callable[[float], object]) -> None:
        self._advance, self.documents, self.share = advance, 0, 1.0

    def of(self, pieces: int) -> None:
        """The documents are in so many pieces."""
        self.share = self.documents / max(pieces, 1)

    def __call__(self, count: int) -> None:
        self._advance(count * self.share)


def chunked(
    model: LoadedModel,
    index: str,
    chunk: str,
    encoder: retrievers.Encoder | None,
    advance: Callable[[float], object],
) -> Chunked:
    """An empty index of chunks.

    Args:
        index: the factory string of what holds the chunks.
        chunk: as `chunking.parse` reads it.
        encoder: the model's, with its prompts; None for bm25.
        advance: called with the documents done since the last call.

    Raises:
        UserError: the model's texts cannot be cut so.
    """
    how = chunking.parse(model_chunks.resolved(model, chunk))
    cut, progress = _cutting(model, how, encoder, advance)
    over = "mean" if how.over == "mean" else "max"  # the first chunk is the only one
    if encoder is None:
        model_chunks.refuse_fields(index)
        part = retrievers.make(index, **model.card.settings)
        return Chunked(part, cut, over=over, spec=str(how))
    watched = WatchedEncoder(**vars(encoder), advance=progress)
    part = retrievers.Encoded(watched, index_for(index, model.card.similarity))
    means = make_index(index, metric=metric_of("dot")) if over == "mean" else None
    return Chunked(part, cut, over=over, means=means, spec=str(how))


def take_more(
    index: Chunked, model: LoadedModel, advance: Callable[[float], object] = lambda count: None
) -> None:
    """Let a loaded index of chunks cut further documents as it cut those that it holds.

    Args:
        model: that it was built with.
        advance: as in `chunked`.
    """
    part = index.part
    encoder = part.encoder if isinstance(part, retrievers.Encoded) else None
    if encoder is not None:
        model.encoder = encoder.model
    index.cut, progress = _cutting(model, chunking.parse(index.spec), encoder, advance)
    if isinstance(part, retrievers.Encoded):
        part.encoder = WatchedEncoder(**{**vars(part.encoder), "advance": progress})


def _cutting(
    model: LoadedModel,
    how: chunking.Chunking,
    encoder: retrievers.Encoder | None,
    advance: Callable[[float], object],
) -> tuple[Cut, _Progress]:
    """What cuts documents, and tells of it."""
    prompt: str = encoder.document.get("prompt") or "" if encoder else ""
    progress = _Progress(advance)

    def encode(texts: list[str]) -> np.ndarray:
        assert encoder is not None  # bm25 has no semantic chunks
        vectors = encoder.encode_documents(texts)
        assert isinstance(vectors, np.ndarray)  # of a dense model
        return vectors

    def tokens(texts: Sequence[str]) -> late_chunks.Forward:
        progress.of(len(texts))
        return late_chunks.Forward(model.encoder, texts, prompt, progress)

    cutter = model_chunks.Cutter(model, how, prompt, encode, tokens)

    def cut(documents: Sequence[str]) -> Pieces:
        progress.documents = len(documents)
        pieces = cutter(documents)
        progress.of(len(pieces.texts))
        return pieces

    return cut, progress
