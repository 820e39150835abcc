"""Texts to vectors by OpenAI's protocol (`POST /embeddings`), which vLLM, TEI, Ollama, Infinity and
llama.cpp speak too; and what of an answer may be used.
"""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from embedlab.servers.http_client import HttpClient, Reply
from embedlab.servers.refusals import BrokenAnswer, Refused
from embedlab.servers.requests_in_flight import Sent

# Asked once with all texts of a batch: model, texts, further fields -> the server's answer.
Ask = Callable[[list[str], dict[str, Any]], Reply]


class Embeddings:
    """A server's embeddings of one model.

    Args:
        ask: sends a request: `openai_protocol` or `embedlab.servers.litellm_route.embeddings`.
        settings: `dimensions`, `encoding` ("base64" or "float"), `max_length`.
        input_types: role -> the word that the server has for it; empty where it has none.
    """

    def __init__(
        self, ask: Ask, settings: Mapping[str, Any], input_types: Mapping[str, str]
    ) -> None:
        self._ask, self._types = ask, input_types
        self.dimensions: int | None = settings.get("dimensions")
        self._encoding = settings.get("encoding", "base64")
        self._more = {"dimensions": self.dimensions} if self.dimensions else {}
        self._most: int = settings.get("max_length", 0)
        if self._most:
            self._more["truncate_prompt_tokens"] = self._most  # vLLM's name for it

    def __call__(self, texts: Sequence[str], role: str) -> Sent[np.ndarray]:
        """float32 `[n, d]` in the order of the texts.

        Raises:
            Refused: the server gave no answer.
            BrokenAnswer: it must not be used.
        """
        more = dict(self._more)
        if word := self._types.get(role):
            more["input_type"] = word
        encoding = self._encoding  # other threads may find out meanwhile
        try:
            reply = self._ask(list(texts), {**more, "encoding_format": encoding})
        except Refused as error:
            if encoding == "float" or "encoding_format" not in error.words:
                raise
            self._encoding = "float"  # a server that knows no other
            return self(texts, role)
        body = reply.body
        if isinstance(body, dict) and body.get("error") and not body.get("data"):
            raise Refused(str(body["error"]), 502)
        vectors = _vectors(body, len(texts))
        if self.dimensions and vectors.shape[1] != self.dimensions:
            raise BrokenAnswer(
                f"vectors of {vectors.shape[1]} dimensions, and {self.dimensions} were asked for"
            )
        tokens = _tokens(body)
        if self._most and tokens and tokens > self._most * len(texts):
            raise BrokenAnswer(
                f"vectors of {tokens:,} tokens for {len(texts):,} texts, which it does not cut at"
                f" max_length={self._most}"
            )
        return Sent(vectors, reply.headers, tokens)


def openai_protocol(client: HttpClient, model: str) -> Ask:
    """Requests to `POST /embeddings`."""

    def ask(texts: list[str], more: dict[str, Any]) -> Reply:
        return client.post("embeddings", {"model": model, "input": texts, **more})

    return ask


def _vectors(body: Any, count: int) -> np.ndarray:
    rows = body.get("data") if isinstance(body, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BrokenAnswer(f"no list of vectors but {str(body)[:80]!r}")
    if len(rows) != count:
        raise BrokenAnswer(f"{len(rows)} vectors for {count} texts")
    # Servers may answer in the order in which they were done; the index says which text it is.
    places = [row.get("index", place) for place, row in enumerate(rows)]
    if sorted(place for place in places if type(place) is int) != list(range(count)):
        raise BrokenAnswer(f"indices {str(places)[:60]} for {count} texts")
    decoded = [_row(row.get("embedding")) for row in rows]
    widths = {len(row) for row in decoded}
    if len(widths) != 1 or 0 in widths:
        raise BrokenAnswer(f"vectors of {', '.join(map(str, sorted(widths)))} dimensions")
    vectors = np.empty((count, *widths), dtype=np.float32)
    vectors[places] = decoded
    if not np.isfinite(vectors).all():
        raise BrokenAnswer("a vector with NaN or infinity")
    if count > 1 and not vectors.any():
        raise BrokenAnswer("vectors of nothing but zeros")
    return vectors


def _row(embedding: Any) -> np.ndarray:
    """One vector, of numbers or as base64 of little-endian float32."""
    try:
        if isinstance(embedding, str):
            return np.frombuffer(base64.b64decode(embedding, validate=True), dtype="<f4")
        row = np.asarray(embedding)
    except (ValueError, binascii.Error) as error:
        raise BrokenAnswer(f"a vector that is none: {error}") from error
    if row.ndim != 1 or row.dtype.kind not in "fiu":
        raise BrokenAnswer(f"a vector that is none: {str(embedding)[:60]!r}")
    return row.astype(np.float32)


def _tokens(body: Any) -> int | None:
    """The tokens that the server counted; None where it says nothing that could be a count."""
    usage = body.get("usage")
    if not isinstance(usage, dict):
        return None
    for name in ("prompt_tokens", "total_tokens"):
        count = usage.get(name)
        if isinstance(count, int) and 0 < count < 1 << 53:
            return count
    return None
