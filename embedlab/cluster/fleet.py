"""The workers of a cluster as a model and a search see them."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from embedlab.cluster.engine import Engine
from embedlab.cluster.pool import Answer, Call, Pool
from embedlab.cluster.worker import Source, Space, Worker
from embedlab.errors import UserError
from embedlab.options import LoadingOptions
from embedlab.progress import Bar, Reporter
from retrievers import Hits
from retrievers.indexes.chunked import merged
from retrievers.search_types import count_of
from retrievers.token_vectors import stacked

if TYPE_CHECKING:
    from embedlab.encoding.cost import Cost
    from embedlab.encoding.encoder import Encoder
    from embedlab.encoding.schedule import Encoded
    from retrievers.indexes.base_index import Index

_PIECES = 4  # of a shard at most: each costs tokenising all of it


@dataclass
class Fleet:
    """The workers of (a part of) a cluster, started when there is something to do."""

    engine: Engine
    loading: LoadingOptions
    force: bool
    reporter: Reporter = field(repr=False)

    @cached_property
    def pool(self) -> Pool:
        return self.engine.workplace(Worker, self.reporter.say)

    def start(self) -> None:
        """Start the workers before there is something to do."""
        self.pool.tell(Call("warm_up", ()))

    def of(self, name: str) -> "ModelFleet":
        """The same as a model sees them that was loaded by this name."""
        return ModelFleet(self, name)

    def stop(self) -> None:
        """End all workers."""
        if "pool" in vars(self):
            self.pool.stop()
            del self.pool


@dataclass
class ModelFleet:
    """Workers that load a model as the command did."""

    fleet: Fleet
    name: str

    def encode(
        self,
        encoder: "Encoder",
        texts: Sequence[str],
        lengths: np.ndarray,
        parts: Iterable[np.ndarray],
        *,
        role: str,
        prompt: str,
        layers: list[int | None],
        bar: Bar,
        cost: "Cost",
    ) -> "Generator[Encoded]":
        """Every part's vectors, in order, as `schedule.encoded` gives them.

        Raises:
            UserError: the model is on no node as it is here, or memory does not suffice.
        """
        loading, pool = self.fleet.loading, self.fleet.pool
        source = Source(
            self.name,
            encoder.model.device.partition(":")[0],
            loading.dtype,
            self.fleet.force,
            loading.trust_remote_code,
            encoder.options,
            encoder.tokens,
        )
        spaces = [
            Space(role, prompt, layer, encoder.ingredients(role, prompt, layer)) for layer in layers
        ]
        pool.prepare(Call("prepare", (source, spaces)))
        cost.workers = len(pool)
        return self._encoded(source, texts, parts, role, prompt, layers, bar, cost)

    def _encoded(
        self,
        source: Source,
        texts: Sequence[str],
        parts: Iterable[np.ndarray],
        role: str,
        prompt: str,
        layers: list[int | None],
        bar: Bar,
        cost: "Cost",
    ) -> "Generator[Encoded]":
        from embedlab.encoding import batches

        shards, pool = list(parts), self.fleet.pool
        # The last ones are divided, so that no worker is done long before the others.
        pieces = [
            1 if left > len(pool) else min(len(pool), _PIECES) for left in range(len(shards), 0, -1)
        ]

        def calls() -> Iterator[Call]:
            for part, several in zip(shards, pieces, strict=True):
                shard = batches.taken(texts, part)
                for piece in range(several):
                    only = piece, several
                    yield Call("encode", (source, shard, role, prompt, layers, only))

        def done(answer: Answer) -> None:
            if answer.error is None:
                bar.advance(answer.value.characters, int(answer.value.encoded.tokens.sum()))

        answers = pool.run(calls(), done=done)
        for part, several in zip(shards, pieces, strict=True):
            made = [_value(next(answers)) for _ in range(several)]
            for line in (line for piece in made for line in piece.said):
                self.fleet.reporter.say(line)
            cost.kernels, cost.batch_tokens = made[-1].kernels, made[-1].batch_tokens
            yield joined(part, [piece.encoded for piece in made])

    def search(
        self,
        index: "Index",
        blocks: Iterable[tuple[np.ndarray, Any]],
        queries: Any,
        k: int,
        *,
        bar: Bar,
    ) -> Hits:
        """What `retrievers.indexes.chunked.search_stream` finds with an exact index, whose blocks
        are searched side by side.
        """
        pool = self.fleet.pool
        shared = pool.share(queries)
        settings = {each.name: getattr(index, each.name) for each in fields(index) if each.init}
        make = partial(type(index), **settings)

        def done(answer: Answer) -> None:
            if answer.error is None:
                bar.advance(answer.value[1])

        calls = (Call("search", (make, rows, block, shared, k)) for rows, block in blocks)
        answers = map(_value, pool.run(calls, done=done))
        return merged((hits for hits, _ in answers), count_of(queries), k)


def joined(part: np.ndarray, pieces: "list[Encoded]") -> "Encoded":
    """A shard out of its pieces, whose `part` are places in it."""
    pieces = [each for each in pieces if len(each.part)]
    places = np.concatenate([each.part for each in pieces])
    back = np.argsort(places)
    if not np.array_equal(places[back], np.arange(len(part))):
        raise RuntimeError("The pieces of a shard are not the whole of it.")
    first, *others = pieces
    for each in others:
        first.times.add(each.times)
    return first._replace(
        part=part,
        tokens=np.concatenate([each.tokens for each in pieces])[back],
        padded=sum(each.padded for each in pieces),
        vectors={
            layer: stacked([each.vectors[layer] for each in pieces])[back]
            for layer in first.vectors
        },
    )


def _value(answer: Answer) -> Any:
    """What a worker gave.

    Raises:
        UserError: it raised one; it names the node.
        Exception: it raised another.
    """
    if isinstance(answer.error, UserError):
        raise UserError(f"On the node {answer.node}: {answer.error}", answer.error.hint)
    if answer.error:
        raise answer.error
    return answer.value
