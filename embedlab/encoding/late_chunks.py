"""Late chunking (Günther et al. 2024, arXiv:2409.04701): the model reads the text first, and its
token vectors are pooled chunk by chunk, so that each chunk's vector knows what stands around it.

A text longer than what the model reads goes through it in windows that overlap by an eighth; of a
token that two windows hold, the vector of the first counts (their section 3.2, long late chunking).
What stands before the text, a prompt and a first special token, belongs to the first chunk, and
what stands behind it to the last: a text of one chunk has the vector that it has by itself.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from embedlab.errors import UserError
from embedlab.models.facts.model_facts import cuts
from retrievers.pieces import Pieces
from retrievers.token_vectors import TokenVectors

OVERLAP = 8  # a window shares one token in so many with the next
_DOCUMENTS = 64  # pooled at a time
_TEXTS = 32  # that go through a model at a time


class Read(Protocol):
    """Token vectors of texts, as a store or memory has them."""

    def read(self, start: int = 0, stop: int | None = None) -> Any: ...


class Forward:
    """Token vectors of texts, made when they are read.

    Args:
        advance: called with the texts that were read.
    """

    def __init__(
        self, encoder: Any, texts: Sequence[str], prompt: str, advance: Callable[[int], object]
    ) -> None:
        self._encoder, self._texts, self._prompt = encoder, texts, prompt
        self._advance = advance

    def read(self, start: int = 0, stop: int | None = None) -> TokenVectors:
        from embedlab.encoding.forward import vectors_of

        texts, parts = self._texts[start:stop], []
        order = sorted(range(len(texts)), key=lambda row: -len(texts[row]))
        for first in range(0, len(order), _TEXTS):
            part = [texts[row] for row in order[first : first + _TEXTS]]
            features = self._encoder.preprocess(part, prompt=self._prompt or None, task="document")
            parts.append(vectors_of(self._encoder, features, [None], role="document", tokens=True))
            self._advance(len(part))
        vectors = TokenVectors.joined([part[None] for part in parts])  # type: ignore[misc]
        return vectors[np.argsort(order)]


def following(encoder: Any, name: str, prompt: str) -> list[Any]:
    """The modules behind the mean pooling of a model that late chunking is defined for.

    Raises:
        UserError: it pools otherwise, or something else reads the text.
    """
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense, Transformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

    modules = list(encoder) if isinstance(encoder, SentenceTransformer) else []
    first, pooling, rest = modules[:1], modules[1:2], modules[2:]
    means = [
        each.pooling_mode == "mean" and (each.include_prompt or not prompt)
        for each in pooling
        if type(each) is Pooling
    ]
    own = ("forward", "preprocess")
    plain = [
        all(getattr(type(each), part) is getattr(Transformer, part) for part in own)
        for each in first
        if isinstance(each, Transformer)
    ]
    if not (plain == means == [True] and all(type(each) in (Dense, Normalize) for each in rest)):
        raise UserError(
            f"{name} cannot chunk late: that takes a transformer of sentence-transformers, mean"
            " pooling over all its tokens, and nothing behind that reads tokens.",
            "Leave late=yes out for it.",
        )
    return rest


def vectors(
    encoder: Any, name: str, windows: Pieces, chunks: Pieces, read: Read, prompt: str
) -> np.ndarray:
    """The chunks' vectors, float32 `[chunks, d]`.

    Args:
        encoder: a model that has `following` modules.
        windows: the same documents in pieces that the model reads at once.
        read: the windows' token vectors, special tokens and prompt among them.

    Raises:
        UserError: the model cuts a window, or gives other tokens than its tokenizer.
    """
    import torch

    after = following(encoder, name, prompt)
    done: list[np.ndarray] = []
    for first in range(0, len(chunks.starts) - 1, _DOCUMENTS):
        documents = range(first, min(first + _DOCUMENTS, len(chunks.starts) - 1))
        rows = slice(int(windows.starts[first]), int(windows.starts[documents[-1] + 1]))
        tokens = read.read(rows.start, rows.stop)
        places = _places(encoder.tokenizer, windows.texts[rows], prompt)
        last = set((windows.starts[first + 1 : documents[-1] + 2] - 1 - rows.start).tolist())
        places = [
            place if at in last else _as_read(place, encoder.max_seq_length)
            for at, place in enumerate(places)
        ]
        if (tokens.lengths != [len(each) for each in places]).any():
            raise UserError(
                f"{name} cannot chunk late: it reads other tokens than its tokenizer gives.",
                "Leave late=yes out for it.",
            )
        pooled = [
            mean
            for document in documents
            for mean in _means(document, windows, chunks, tokens, places, rows.start)
        ]
        features = {"sentence_embedding": torch.from_numpy(np.stack(pooled)).to(encoder.device)}
        with torch.inference_mode():
            for module in after:
                features = module(features)
        done.append(features["sentence_embedding"].float().cpu().numpy())
    return np.concatenate(done)[:, : cuts(encoder).get("truncate_dim")]


def _places(tokenizer: Any, texts: Sequence[str], prompt: str) -> list[np.ndarray]:
    """Where in its text each token begins, in characters, float64 `[t]`: -inf before the text, inf
    behind it.
    """
    found = []
    spans = tokenizer(
        [prompt + text for text in texts], truncation=False, padding=False,
        return_offsets_mapping=True, verbose=False,
    )["offset_mapping"]  # fmt: skip
    for text, offsets in zip(texts, spans, strict=True):
        place = np.full(len(offsets), -np.inf)
        inside = [
            at for at, (start, end) in enumerate(offsets) if end > start and end > len(prompt)
        ]
        for at in inside:
            start, end = (max(edge - len(prompt), 0) for edge in offsets[at])
            # Some tokenizers count the blank before a word to it.
            place[at] = start + len(text[start:end]) - len(text[start:end].lstrip())
        place = np.maximum.accumulate(place)
        place[inside[-1] + 1 if inside else len(place) :] = np.inf
        found.append(place)
    return found


def _as_read(place: np.ndarray, limit: int | None) -> np.ndarray:
    """A window's places without what the model cuts off its end, which the next window holds too.

    A word that a window begins or ends within may be of more tokens there than in the whole text.
    """
    over = len(place) - (limit or len(place))
    behind = int((place == np.inf).sum())
    if not 0 < over <= len(place) // (2 * OVERLAP):
        return place
    return np.delete(place, slice(len(place) - behind - over, len(place) - behind))


def _means(
    document: int,
    windows: Pieces,
    chunks: Pieces,
    tokens: TokenVectors,
    places: Sequence[np.ndarray],
    offset: int,
) -> Iterator[np.ndarray]:
    """The mean token vector of each chunk of a document, float32 `[d]`.

    Args:
        tokens, places: of the windows from number `offset` on.
    """
    first, last = windows.starts[document], windows.starts[document + 1] - 1
    kept: list[np.ndarray] = []
    at = np.empty(0)
    for window in range(first, last + 1):
        place = places[window - offset] + windows.spans[window][0]
        seen = at[np.isfinite(at)].max(initial=-np.inf)
        keep = (place > seen) | (window == first)
        if window < last:
            keep &= place < np.inf
        kept.append(tokens[int(window - offset)][keep])
        at = np.concatenate([at, place[keep]])
    vectors = np.concatenate(kept).astype(np.float64)
    sums = np.concatenate([np.zeros((1, vectors.shape[1])), vectors.cumsum(axis=0)])
    own = range(chunks.starts[document], chunks.starts[document + 1])
    for chunk in own:
        start, end = np.searchsorted(at, chunks.spans[chunk])
        start = 0 if chunk == own[0] else min(start, len(at) - 1)
        end = len(at) if chunk == own[-1] else max(end, start + 1)
        yield ((sums[end] - sums[start]) / (end - start)).astype(np.float32)
