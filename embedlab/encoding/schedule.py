"""One pass of texts through a model: shard by shard in order, while the next shard is tokenised
ahead of the model.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from embedlab.compat.sentence_transformers_internals import position_offset
from embedlab.encoding import batches, kernels
from embedlab.encoding.cost import Cost, LayerTimes
from embedlab.encoding.forward import vectors_of
from embedlab.encoding.replicas import Workers
from embedlab.encoding.running_model import RunningModel
from embedlab.progress import Bar
from retrievers.token_vectors import Rows, stacked


class Encoded(NamedTuple):
    """A shard that went through the model: `part` are its texts' positions, `padded` the tokens
    with padding, `times` where the time went.
    """

    part: np.ndarray
    tokens: np.ndarray
    padded: int
    vectors: dict[int | None, Rows]
    times: LayerTimes


T = TypeVar("T")
# Vectors by layer, and where the time went.
_Batch = tuple[dict[int | None, Rows], LayerTimes]
# What `_collect` takes.
_Submitted = tuple[np.ndarray, np.ndarray, list[np.ndarray], list[Future[_Batch]], bool]


class Pass:
    """How texts go through a model.

    Args:
        running: the model as it runs.
        workers: copies of it.
        texts: all of them, without prompt; they may lie on disk.
        lengths: characters of each, int `[n]`.
        prompt: what precedes every text.
        role: "query", "document" or "text".
        layers: whose vectors are kept; None is the model's own output.
        bar: moved on by the characters of each finished batch.
        only: (i, n) does every n-th batch of each part, from the i-th on: several do one part.
    """

    def __init__(
        self,
        running: RunningModel,
        workers: Workers,
        texts: Sequence[str],
        lengths: np.ndarray,
        *,
        prompt: str,
        role: str,
        layers: list[int | None],
        bar: Bar,
        only: tuple[int, int] = (0, 1),
    ) -> None:
        self._running, self._workers, self._texts, self._bar = running, workers, texts, bar
        self._lengths, self._only = lengths, only
        self._prompt, self._role, self._layers = prompt, role, layers
        self._cut = partial(batches.batches, even=running.even)

    def shards(self, parts: Iterable[np.ndarray]) -> Iterator[Encoded]:
        """Every part's vectors, in order;
        the workers are never without work while there is some.
        """
        running: deque[_Submitted] = deque()
        with ThreadPoolExecutor(1) as ahead:
            for part, features in _one_ahead(ahead, self._features, parts):
                running.append(self._submit(part, features.result()))
                if len(running) > 1:
                    yield self._collect(*running.popleft())
        while running:
            yield self._collect(*running.popleft())

    def _features(self, part: np.ndarray) -> dict[str, Any]:
        """What the model takes of the texts at these positions."""
        return self._running.features(batches.taken(self._texts, part), self._prompt, self._role)

    def _submit(self, part: np.ndarray, features: dict[str, Any]) -> _Submitted:
        tokens = batches.lengths(features)
        first, step = self._only
        # Who does a part with others cuts it as they do, whatever its own memory.
        budget = self._running.batch_tokens if step == 1 else self._running.first_budget
        # Texts that stand end to end are not padded, and a bag's tokens are looked up, no more:
        # one batch will do.
        cut = [np.arange(len(part))] if "offsets" in features else list(self._cut(tokens, budget))
        cut = cut[first::step]
        futures = [
            self._workers.submit(self._batch, part, tokens, features, batch, budget)
            for batch in cut
        ]
        return part, tokens, cut, futures, "offsets" in features

    def _collect(
        self,
        part: np.ndarray,
        tokens: np.ndarray,
        cut: list[np.ndarray],
        futures: list[Future[_Batch]],
        bags: bool,
    ) -> Encoded:
        blocks: dict[int | None, list[Any]] = {layer: [] for layer in self._layers}
        times = LayerTimes()
        for batch, future in zip(cut, futures, strict=True):
            vectors, spent = future.result()
            times.add(spent)
            for layer, block in vectors.items():
                blocks[layer].append(block)
            characters = int(self._lengths[part[batch]].sum()) + len(batch)
            self._bar.advance(characters, int(tokens[batch].sum()))
        places = np.concatenate([*cut, np.empty(0, np.int64)])
        back = np.argsort(places)
        done = places[back]
        padded = (
            int(tokens[done].sum())
            if bags
            else sum(len(batch) * int(tokens[batch[0]]) for batch in cut)
        )
        vectors_of_all = {layer: stacked(rows)[back] for layer, rows in blocks.items() if rows}
        return Encoded(part[done], tokens[done], padded, vectors_of_all, times)

    def _batch(
        self,
        encoder: SentenceTransformer,
        part: np.ndarray,
        tokens: np.ndarray,
        features: dict[str, Any],
        batch: np.ndarray,
        budget: int,
    ) -> _Batch:
        """Layer -> vectors of one batch, and where the time went;
        in smaller pieces where memory does not suffice.
        """
        times = LayerTimes()
        try:
            rows = batches.select(features, batch) or self._features(part[batch])
            if (unpadding := kernels.unpadding(encoder)) and tokens[batch].any():
                rows = batches.flatten(rows, position_offset(unpadding))
            vectors = vectors_of(
                encoder,
                rows,
                self._layers,
                role=self._role,
                store_dtype=self._running.options.store_dtype,
                sparse=self._running.sparse,
                tokens=self._running.tokens,
                times=times,
            )
            return vectors, times
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            budget = self._running.smaller(error, len(batch), budget)
        pieces = [
            self._batch(encoder, part, tokens, features, batch[piece], budget)
            for piece in self._cut(tokens[batch], budget)
        ]
        for _, spent in pieces:
            times.add(spent)
        return {
            layer: stacked([vectors[layer] for vectors, _ in pieces]) for layer in self._layers
        }, times


def encoded(
    running: RunningModel,
    texts: Sequence[str],
    lengths: np.ndarray,
    parts: Iterable[np.ndarray],
    *,
    role: str,
    prompt: str,
    layers: list[int | None],
    bar: Bar,
    cost: Cost,
) -> Generator[Encoded]:
    """Every part's vectors, in order, made by this process.

    Args:
        cost: told who worked, and how; the others as in `Pass`.

    Raises:
        UserError: the model encodes in a way of its own, or has no memory for a single text.
    """
    pool = running.workers_for(layers)
    cost.workers = len(pool)
    if not running.model.runs_elsewhere:
        cost.kernels = pool.kernels
    with pool:
        yield from Pass(
            running, pool, texts, lengths, prompt=prompt, role=role, layers=layers, bar=bar
        ).shards(parts)
    cost.batch_tokens = running.batch_tokens


def _one_ahead(
    pool: ThreadPoolExecutor, work: Callable[[np.ndarray], T], items: Iterable[np.ndarray]
) -> Iterator[tuple[np.ndarray, Future[T]]]:
    """Each item with the future of its work; that of the next item has begun by then."""
    waiting: tuple[np.ndarray, Future[T]] | None = None
    for item in items:
        begun = item, pool.submit(work, item)
        if waiting:
            yield waiting
        waiting = begun
    if waiting:
        yield waiting
