"""What a worker of a cluster does: it encodes shards of texts, and searches parts of a corpus."""

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from embedlab.encoding.encoder import Encoder
from embedlab.errors import UserError
from embedlab.models import load
from embedlab.options import EncodingOptions
from embedlab.progress import Reporter
from retrievers import Hits

if TYPE_CHECKING:
    from embedlab.encoding.replicas import Workers
    from embedlab.encoding.schedule import Encoded
    from retrievers.indexes.base_index import Index

_KEPT = 2  # models: those of a composition take turns


@dataclass(frozen=True)
class Source:
    """What a model is loaded from, and how it encodes."""

    name: str
    device: str
    dtype: str
    force: bool
    trust_remote_code: bool
    options: EncodingOptions
    tokens: bool


class Space(NamedTuple):
    """Texts of one kind, as the vector store keeps them apart, and the ingredients of the key."""

    role: str
    prompt: str
    layer: int | None
    ingredients: Mapping[str, Any]


class Shard(NamedTuple):
    """A shard that was encoded: `said` are lines for the user."""

    encoded: "Encoded"
    kernels: str
    batch_tokens: int
    characters: int
    said: list[str]


class Worker:
    """The model that was asked for last, and how it runs here."""

    def __init__(self) -> None:
        self._encoders: dict[Source, Encoder] = {}
        self._lock = threading.Lock()
        self._pool: Workers | None = None
        self._reporter = _Notes()

    def warm_up(self) -> None:
        """Import what takes seconds, while the command is busy with the task."""
        with self._lock:  # nobody loads a model meanwhile
            import sentence_transformers  # noqa: F401

    def prepare(self, source: Source, spaces: Sequence[Space]) -> None:
        """Load the model, once.

        Raises:
            UserError: it is not here, or its vectors would stand under another key.
        """
        encoder = self._encoder(source)
        _ = encoder.model.encoder  # loads it
        for space in spaces:
            here = encoder.ingredients(space.role, space.prompt, space.layer)
            there = space.ingredients
            if other := [name for name in there if here.get(name) != there[name]]:
                said = ", ".join(f"{name} {here.get(name)} ({there[name]})" for name in other)
                raise UserError(
                    f"{source.name} is another model than on the machine of the command: {said}.",
                    "Every node needs the same files and the same kind of device: copy the model"
                    " to the same place there, or take --device cpu.",
                )

    def encode(
        self,
        source: Source,
        texts: list[str],
        role: str,
        prompt: str,
        layers: list[int | None],
        only: tuple[int, int],
    ) -> Shard:
        """The vectors of one shard, or of every n-th of its batches (`Pass`): those that a single
        process makes of it.
        """
        from embedlab.encoding.schedule import Pass

        encoder = self._encoder(source)
        pool = self._entered(encoder, layers)
        lengths = np.array([len(text) for text in texts])
        with self._reporter.phase("", len(texts)) as bar:
            passed = Pass(
                encoder.running, pool, texts, lengths,
                prompt=prompt, role=role, layers=layers, bar=bar, only=only,
            )  # fmt: skip
            (encoded,) = passed.shards([np.arange(len(texts))])
        kernels = encoder.kernels if encoder.model.runs_elsewhere else pool.kernels
        characters = int(lengths[encoded.part].sum()) + len(encoded.part)
        said = self._reporter.taken()
        return Shard(encoded, kernels, encoder.batch_tokens, characters, said)

    def search(
        self, index: "Callable[[], Index]", rows: np.ndarray, block: Any, queries: Any, k: int
    ) -> tuple[Hits, int]:
        """The best of one block of a corpus, whose documents are `rows`, by the exact index that
        `index` makes; and how many there are.
        """
        from retrievers.indexes.chunked import search_block

        return search_block(index(), rows, block, queries, k), len(rows)

    def _encoder(self, source: Source) -> Encoder:
        with self._lock:
            if source not in self._encoders:
                while len(self._encoders) >= _KEPT:
                    self._encoders.pop(next(iter(self._encoders)))
                self._leave()
                model = load(
                    source.name,
                    device=source.device,
                    dtype=source.dtype,
                    force=source.force,
                    trust_remote_code=source.trust_remote_code,
                )
                self._encoders[source] = Encoder(
                    model, source.options, reporter=self._reporter, tokens=source.tokens
                )
            return self._encoders[source]

    def _entered(self, encoder: Encoder, layers: list[int | None]) -> "Workers":
        """Copies of the model, which stay at work from one shard to the next."""
        with self._lock:
            pool = encoder.running.workers_for(layers)
            if pool is not self._pool:
                self._leave()
                self._pool = pool.__enter__()
            return pool

    def _leave(self) -> None:
        if self._pool:
            self._pool.__exit__()
            self._pool = None


class _Notes(Reporter):
    """Keeps what there is to say until somebody takes it."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self._lines: list[str] = []

    def say(self, line: str) -> None:
        self._lines.append(line)

    def taken(self) -> list[str]:
        """The lines since the last time."""
        lines, self._lines = self._lines, []
        return [f"{os.uname().nodename}: {line}" for line in lines]
