"""A model at an address, asked by many requests at once: what embedders and rerankers behind a
server have in common.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from embedlab.errors import UserError, unknown
from embedlab.servers import refusals
from embedlab.servers.embeddings import Ask, Embeddings, openai_protocol
from embedlab.servers.http_client import HttpClient
from embedlab.servers.prices import Price, estimated_tokens
from embedlab.servers.refusals import KEPT, BrokenAnswer, Refused
from embedlab.servers.requests_in_flight import InFlight, Sent
from embedlab.servers.secrecy import shown
from embedlab.servers.server_names import Address
from embedlab.spending import Purse


@dataclass
class Served:
    """A model at an address.

    Args:
        address: where.
        price: None where nobody knows.
        number: requests at once.
        purse: what pays for them.
    """

    address: Address
    price: Price | None
    number: int
    purse: Purse
    _is_listed: bool = field(default=False, init=False)

    @cached_property
    def client(self) -> HttpClient:
        return HttpClient(self.address.url, self.number)

    @cached_property
    def in_flight(self) -> InFlight:
        return InFlight(self.number, self.purse, self.price)

    def check_listed(self) -> None:
        """Once: the server knows the model. Some answer for any name with the one that they have.

        Raises:
            UserError: the server lists its models, and this is none of them.
        """
        if self._is_listed or self.address.route != "url":
            return
        known, name = self.client.models(), self.address.model
        if known and name not in known and f"{name}:latest" not in known:  # Ollama's names
            hint = f"It serves: {', '.join(known[:10])}."
            raise unknown(f"model at {self.address.place}", name, known, hint)
        self._is_listed = True

    @contextmanager
    def explained(self) -> Iterator[None]:
        """What goes wrong inside, as the user hears of it.

        Raises:
            UserError: in place of `Refused` and `BrokenAnswer`.
        """
        try:
            yield
        except Refused as error:
            wants_names = self.address.url and error.status in (400, 404)
            refusals.explain(error, self.address, self.client.models() if wants_names else [])
        except BrokenAnswer as error:
            raise UserError(
                f"{self.address.place} gave {self.address.model} an answer that cannot be right:"
                f" {shown(error)}.",
                f"Look at the server; that answer was not kept. {KEPT}",
            ) from error


class ServedEmbedder(Served):
    """Texts to vectors.

    Args:
        settings: see `Embeddings`.
        input_types: role -> the word that the server has for it.
        batch_texts, batch_tokens: the most in one request.
    """

    def __init__(
        self,
        address: Address,
        price: Price | None,
        number: int,
        purse: Purse,
        *,
        settings: Mapping[str, Any],
        input_types: Mapping[str, str],
        batch_texts: int,
        batch_tokens: int,
    ) -> None:
        super().__init__(address, price, number, purse)
        self._settings, self._types = settings, input_types
        self.batch_texts, self.batch_tokens = batch_texts, batch_tokens

    @cached_property
    def _embeddings(self) -> Embeddings:
        return Embeddings(self._ask(), self._settings, self._types)

    def _ask(self) -> Ask:
        if self.address.route == "litellm":
            from embedlab.servers import litellm_route

            return litellm_route.embeddings(self.address.model)
        return openai_protocol(self.client, self.address.model)

    @property
    def sends_blank(self) -> bool:
        """Whether texts without a letter are sent. Providers refuse them; as in mteb's wrappers,
        their vectors are then zeros.
        """
        return self.address.route == "url"

    def vectors(
        self,
        texts: Sequence[str],
        role: str,
        keep: Callable[[Sequence[int], Sent[np.ndarray]], None],
    ) -> Iterator[int]:
        """Ask for the vectors of all texts, and yield after each batch how many it had.

        Args:
            texts: with their prompts.
            role: "query", "document" or "text".
            keep: called in the thread that got an answer, before the next is asked for: positions
                of texts, and their vectors `[n, d]`.

        Raises:
            UserError: the server gives none, or wrong ones.
        """

        def send(batch: list[int]) -> int:
            self._send(batch, texts, role, keep)
            return len(batch)

        with self.explained():
            self.check_listed()
            yield from self.in_flight.all(self._batches(texts), send)

    def one(self, text: str) -> np.ndarray:
        """The vector of a text without a role, `[d]`.

        Raises:
            UserError: the server gives none, or a wrong one.
        """
        with self.explained():
            self.check_listed()
            sent = self.in_flight.ask(
                estimated_tokens(text), lambda: self._embeddings([text], "text")
            )
        vector: np.ndarray = sent.answer[0]
        return vector

    def _send(
        self,
        batch: Sequence[int],
        texts: Sequence[str],
        role: str,
        keep: Callable[[Sequence[int], Sent[np.ndarray]], None],
    ) -> None:
        chosen = [texts[place] for place in batch]
        tokens = sum(map(estimated_tokens, chosen))
        try:
            sent = self.in_flight.ask(tokens, lambda: self._embeddings(chosen, role))
        except Refused as error:
            if not error.too_large or len(batch) == 1:
                raise
            half = (len(batch) + 1) // 2
            self.batch_texts = min(self.batch_texts, half)  # also of the batches to come
            for part in (batch[:half], batch[half:]):
                self._send(part, texts, role, keep)
            return
        keep(batch, sent)

    def _batches(self, texts: Sequence[str]) -> Iterator[list[int]]:
        """Positions of the texts of each request, in their order."""
        batch: list[int] = []
        tokens = 0
        for place, text in enumerate(texts):
            length = estimated_tokens(text)
            if batch and (len(batch) >= self.batch_texts or tokens + length > self.batch_tokens):
                yield batch
                batch, tokens = [], 0
            batch.append(place)
            tokens += length
        if batch:
            yield batch
