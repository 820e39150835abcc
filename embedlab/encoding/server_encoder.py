"""The encode loop of a model behind a server: what it answers goes into the vector store like all
other vectors, and is safe the moment it came.

    EMBEDLAB_HOME/vectors/<space>/answers.sqlite   vectors that no shard has yet

Whoever is killed, or refused for the day, does not pay again for what was answered: the next run
finds it here.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from embedlab.encoding.cost import Cost, LayerCost
from embedlab.encoding.encoder import refuse_store_dtype
from embedlab.encoding.vectors.keys import distinct, text_keys
from embedlab.encoding.vectors.stored_vectors import Vectors
from embedlab.encoding.vectors.vector_store import Space
from embedlab.errors import UserError
from embedlab.models.served.server_models import ServerModel
from embedlab.options import EncodingOptions
from embedlab.progress import Reporter
from embedlab.resources import home
from embedlab.servers.answers import Answers, held
from embedlab.servers.prices import estimated_tokens
from embedlab.servers.requests_in_flight import Sent
from embedlab.spending import shown

_SHARD = 8_192  # answers that become a shard
# Sent by itself, to see that the model is the one whose vectors are in the store.
PROBE = "The quick brown fox jumps over the lazy dog."
_ALIKE = 0.99  # cosine of the same text on the same model, whatever the hardware
_HEAD = np.dtype([("tokens", "<i4"), ("seconds", "<f8")])  # of an answer, before its vector


class ServerEncoder:
    """What `encoder.Encoder` is to a loaded model, for one behind a server.

    Args:
        model: gives dense vectors.
        options: how they are kept; `batch_tokens` of a request.
        reporter: where progress is shown.

    Raises:
        UserError: the server does not know the model or the key, or cannot be reached.
    """

    def __init__(self, model: ServerModel, options: EncodingOptions, reporter: Reporter) -> None:
        if options.workers or options.compiled:
            raise UserError(
                f"--workers and --compile have no effect on {model.name}, which runs elsewhere.",
                "Leave them out; --in-flight says how many requests it gets at once.",
            )
        refuse_store_dtype(model, options)
        if options.batch_tokens:
            model.batch_tokens = options.batch_tokens
        self.model, self.options, self.reporter = model, options, reporter
        self._is_the_same = False
        model.card = replace(model.card, dim=self._width())
        if line := model.stated_price():
            reporter.say(line)

    def ingredients(self, role: str, prompt: str) -> dict[str, Any]:
        """Everything that is known to shape the vectors of texts in this role."""
        return {
            "model": self.model.identity,
            "method": self.model.card.method,
            "settings": self.model.settings,
            "role": role,
            "prompt": prompt,
            "layer": None,
            "dtype": "",
            "device": "server",
            "store_dtype": self.options.store_dtype,
        }

    def encode(
        self,
        texts: Sequence[str],
        *,
        role: str,
        prompt: str = "",
        layers: Sequence[int | None] = (None,),
    ) -> tuple[dict[int | None, Vectors], Cost]:
        """Vectors of all texts; only missing ones are asked for. Arguments and answer are those of
        `Encoder.encode`.

        Raises:
            UserError: the server gives no vectors or wrong ones, it is beyond the budget, or the
                disk is full; what was answered is kept.
        """
        if any(layers):
            raise UserError(
                f"{self.model.name} is behind a server: its layers are not to be seen.",
                "Leave --layers out.",
            )
        keys, space = text_keys(prompt, texts), Space(self.ingredients(role, prompt))
        head = [prompt + text[:2000] for text in texts[:1]]
        cost = Cost(len(texts), kernels="the server's own", first_inputs=head)
        if (~space.has(keys)).any():
            self._fill(texts, keys, space, role, prompt, cost)
        vectors = space.vectors(keys)
        cost.tokens, cost.measured_seconds = int(vectors.tokens().sum()), vectors.seconds().all
        cost.by_layer = {None: LayerCost(*vectors.seconds(), cost.seconds)}
        cost.cuts_unseen = True
        # Where the server counts no tokens, nobody knows what they cost.
        if (price := self.model.price) and (cost.tokens or not price.token):
            cost.has_price, cost.price = True, price.of(cost.tokens)
        return {None: vectors}, cost

    def check_budget(self, texts: Mapping[tuple[str, str], Sequence[str]], what: str) -> None:
        """Say what the vectors of texts that are not there yet will cost, and refuse what is beyond
        the budget.

        Args:
            texts: by (role, prompt).
            what: for the message.
        """
        tokens = missing = 0
        for (role, prompt), rows in texts.items():
            space = Space(self.ingredients(role, prompt))
            keys = text_keys(prompt, rows)
            kept = Answers(_answers(space)).get([key.tobytes() for key in keys])
            for place in _not_in(space, keys):
                if keys[place].tobytes() not in kept:
                    missing += 1
                    tokens += estimated_tokens(prompt + rows[place])
        if not missing:
            return
        line = f"{missing:,} texts to send, about {tokens:,} tokens"
        if self.model.price is None:
            self.reporter.say(f"{line}.")
            return
        price = self.model.price.of(tokens)
        self.reporter.say(f"{line}, about {shown(price)}.")
        self.model.options.purse.check(price, f"{self.model.name} on {what}")

    def _fill(
        self,
        texts: Sequence[str],
        keys: np.ndarray,
        space: Space,
        role: str,
        prompt: str,
        cost: Cost,
    ) -> None:
        space.declare()
        with held(_answers(space)) as answers:  # nobody else pays for the same texts
            space.refresh()
            self._to_shard(space, answers)
            todo = _not_in(space, keys)
            if len(todo):
                self._check_same()
                self._ask(texts, keys, todo, space, answers, role, prompt, cost)

    def _ask(
        self,
        texts: Sequence[str],
        keys: np.ndarray,
        todo: np.ndarray,
        space: Space,
        answers: Answers,
        role: str,
        prompt: str,
        cost: Cost,
    ) -> None:
        began, purse = time.perf_counter(), self.model.options.purse
        spent, embedder, lock = purse.spent, self.model.embedder, threading.Lock()
        requests, again = embedder.in_flight.requests, embedder.in_flight.tries_again
        rendered = {int(place): prompt + texts[place] for place in todo}
        blank = [n for n, text in rendered.items() if not text.strip()]
        if blank and not embedder.sends_blank:
            rows = np.zeros((len(blank), self.model.card.dim), dtype=np.float32)
            answers.put(self._packed(keys[blank], np.zeros(len(blank), np.int32), rows, 0.0))
            rendered = {n: text for n, text in rendered.items() if text.strip()}
        if price := self.model.price:
            estimate = price.of(sum(map(estimated_tokens, rendered.values())))
            purse.check(estimate, f"What {self.model.name} is to encode")
        # Longest first: texts of one length share a batch, which servers fill up to the longest.
        order = sorted(rendered, key=lambda n: (-len(rendered[n]), keys[n].tobytes()))
        last, unit = began, self._gives_unit_vectors()

        def keep(places: Sequence[int], sent: Sent[np.ndarray]) -> None:
            nonlocal last
            chosen = [order[place] for place in places]
            if sent.answer.shape[1] != self.model.card.dim:
                raise UserError(
                    f"{self.model.name} gave vectors of {sent.answer.shape[1]} dimensions; before,"
                    f" they had {self.model.card.dim}.",
                    "The model behind the address has changed, or its settings: nothing of this"
                    f" answer was kept. {_OTHER}",
                )
            if unit and not _unit_or_zero(sent.answer).all():
                raise UserError(
                    f"{self.model.name} gave vectors that are not normalised; before, they were.",
                    f"Look at the server: nothing of this answer was kept. {_OTHER}",
                )
            tokens = _shared_out(sent.tokens, [rendered[n] for n in chosen])
            with lock:
                now = time.perf_counter()
                last, seconds = now, now - last
                answers.put(self._packed(keys[chosen], tokens, sent.answer, seconds))
                cost.encoded_tokens += int(tokens.sum())

        with self.reporter.phase(f"encode {role}", len(order), "texts") as bar:
            for count in embedder.vectors([rendered[n] for n in order], role, keep):
                bar.advance(count, count)
                cost.encoded_texts += count
                if len(answers) >= _SHARD:
                    self._to_shard(space, answers, known=False)
        self._to_shard(space, answers, known=False)
        cost.encoded_texts += len(todo) - len(order)
        cost.seconds += time.perf_counter() - began
        cost.price_now += purse.spent - spent
        cost.requests = embedder.in_flight.requests - requests
        cost.requests_again = embedder.in_flight.tries_again - again

    def _packed(
        self, keys: np.ndarray, tokens: np.ndarray, vectors: np.ndarray, seconds: float
    ) -> dict[bytes, bytes]:
        heads = np.zeros(len(keys), dtype=_HEAD)
        heads["tokens"], heads["seconds"] = tokens, seconds / max(len(keys), 1)
        rows = vectors.astype(self.options.store_dtype, copy=False)
        return {
            key.tobytes(): head.tobytes() + row.tobytes()
            for key, head, row in zip(keys, heads, rows, strict=True)
        }

    def _to_shard(self, space: Space, answers: Answers, *, known: bool = True) -> None:
        """Make the answers a shard of the store; one that is there already is dropped, where there
        may be a `known` one: to look each time would take longer with every shard.
        """
        kept = answers.all()
        if not kept:
            return
        keys = np.frombuffer(b"".join(kept), dtype="V16")
        new = ~space.has(keys) if known else np.ones(len(keys), dtype=bool)
        if new.any():
            values = [value for value, fresh in zip(kept.values(), new, strict=True) if fresh]
            heads = np.frombuffer(b"".join(value[: _HEAD.itemsize] for value in values), _HEAD)
            rows = np.frombuffer(
                b"".join(value[_HEAD.itemsize :] for value in values), self.options.store_dtype
            ).reshape(len(values), -1)
            space.add(keys[new], heads["tokens"], rows, float(heads["seconds"].sum()))
        answers.drop(list(kept))

    @cached_property
    def _probe(self) -> Space:
        return Space(self.ingredients("probe", ""))

    def _width(self) -> int:
        """The length of the model's vectors: of the store's, else asked of the server."""
        keys = text_keys("", [PROBE])
        if not self._probe.has(keys).all():
            vector = self.model.embedder.one(PROBE).astype(self.options.store_dtype)
            tokens = np.array([estimated_tokens(PROBE)])
            self._probe.add(keys, tokens, vector[None], 0.0)
            self._is_the_same = True
        return self._probe.vectors(keys).dim

    def _check_same(self) -> None:
        """Once, before anything is sent: the model is that whose vectors are in the store.

        Raises:
            UserError: it gives another vector for the same text.
        """
        if self._is_the_same:
            return
        before = np.asarray(self._probe.vectors(text_keys("", [PROBE])).read(), dtype=np.float32)[0]
        now = self.model.embedder.one(PROBE)
        lengths = np.linalg.norm(before) * np.linalg.norm(now)
        alike = float(before @ now / lengths) if before.shape == now.shape and lengths else 0.0
        if alike < _ALIKE:
            raise UserError(
                f"{self.model.name} is not the model whose vectors are in the store: for the same"
                f" text it gives {len(now)} dimensions with a cosine of {alike:.3f} to those"
                f" {len(before)}.",
                _OTHER,
            )
        self._is_the_same = True

    def _gives_unit_vectors(self) -> bool:
        probe = self._probe.vectors(text_keys("", [PROBE])).read()
        return bool(_unit_or_zero(np.asarray(probe, dtype=np.float32)).all())


_OTHER = "Give it a name of its own, ...?revision=WORD: what is in the store stays."


def _unit_or_zero(vectors: np.ndarray) -> np.ndarray:
    """Whether each vector has length 1, as exactly as bfloat16 has it, or is zero: bool `[n]`."""
    lengths = np.linalg.norm(vectors, axis=1)
    fits: np.ndarray = (np.abs(lengths - 1) < 0.02) | (lengths == 0)
    return fits


def _answers(space: Space) -> Path:
    """The file of the answers that no shard has yet: on this machine, for it needs locks, which a
    disk that machines share may not have.
    """
    return home() / "vectors" / space.folder.name / "answers.sqlite"


def _not_in(space: Space, keys: np.ndarray) -> np.ndarray:
    """Where each key that the space lacks comes first."""
    first = distinct(keys)
    lacking: np.ndarray = first[~space.has(keys[first])]
    return lacking


def _shared_out(tokens: int | None, texts: Sequence[str]) -> np.ndarray:
    """Tokens of each text, int32 `[n]`: a server counts a whole request. 0 where it does not."""
    if tokens is None:
        return np.zeros(len(texts), dtype=np.int32)
    sizes = np.array([len(text.encode("utf-8", "surrogatepass")) + 1 for text in texts])
    ends = np.rint(np.cumsum(sizes) * (tokens / sizes.sum())).astype(np.int32)
    return np.diff(ends, prepend=np.int32(0))
