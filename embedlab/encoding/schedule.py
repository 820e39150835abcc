"""One pass of texts through a model: shard by shard in order, while the next shard is tokenised ahead of the model."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_matrix, vstack

from embedlab.encoding import batches, kernels
from embedlab.encoding.cost import LayerTimes
from embedlab.encoding.forward import vectors_of
from embedlab.encoding.replicas import Workers


class Encoded(NamedTuple):
    """A shard that went through the model: `part` are its texts' positions, `padded` the tokens with padding, `times`
    where the time went."""

    part: np.ndarray
    tokens: np.ndarray
    padded: int
    vectors: dict[int | None, np.ndarray | csr_matrix]
    times: LayerTimes


class Pass:
    """How texts go through the model.

    Args:
        workers: the copies of the model.
        features_of: tokenises texts, given by their positions.
        layers: whose vectors are kept; None is the model's own output.
        role: "query", "document" or "text".
        budget: tokens of a batch, asked before each shard.
        out_of_memory: told an error, the number of texts and the budget of a batch; gives a smaller budget or raises.
        advance: told the positions of the texts of each finished batch, and their tokens.
        store_dtype, sparse: of the vectors.
        even: texts of one length only share a batch.
    """

    def __init__(
        self,
        workers: Workers,
        features_of: Callable[[np.ndarray], dict[str, Any]],
        *,
        layers: list[int | None],
        role: str,
        budget: Callable[[], int],
        out_of_memory: Callable[[Exception, int, int], int],
        advance: Callable[[np.ndarray, int], None],
        store_dtype: str,
        sparse: bool,
        even: bool,
    ):
        self._workers, self._features_of = workers, features_of
        self._cut = partial(batches.batches, even=even)
        self._budget, self._out_of_memory, self._advance = budget, out_of_memory, advance
        self._layers, self._role, self._store_dtype, self._sparse = layers, role, store_dtype, sparse

    def shards(self, parts: Iterable[np.ndarray]) -> Iterator[Encoded]:
        """Every part's vectors, in order; the workers are never without work while there is some."""
        running: deque = deque()
        with ThreadPoolExecutor(1) as ahead:
            for part, features in _one_ahead(ahead, self._features_of, parts):
                running.append(self._submit(part, features.result()))
                if len(running) > 1:
                    yield self._collect(*running.popleft())
        while running:
            yield self._collect(*running.popleft())

    def _submit(self, part: np.ndarray, features: dict[str, Any]) -> tuple:
        tokens = batches.lengths(features)
        budget = self._budget()
        # Texts that stand end to end are not padded, and a bag's tokens are looked up, no more: one batch will do.
        cut = [np.arange(len(part))] if "offsets" in features else list(self._cut(tokens, budget))
        futures = [self._workers.submit(self._batch, part, tokens, features, batch, budget) for batch in cut]
        return part, tokens, cut, futures, "offsets" in features

    def _collect(
        self, part: np.ndarray, tokens: np.ndarray, cut: list[np.ndarray], futures: list[Future], bags: bool
    ) -> Encoded:
        blocks: dict[str, Any] = {layer: [] for layer in self._layers}
        times = LayerTimes()
        for batch, future in zip(cut, futures, strict=True):
            vectors, spent = future.result()
            times.add(spent)
            for layer, block in vectors.items():
                blocks[layer].append(block)
            self._advance(part[batch], int(tokens[batch].sum()))
        back = np.argsort(np.concatenate(cut))
        padded = int(tokens.sum()) if bags else sum(len(batch) * int(tokens[batch[0]]) for batch in cut)
        vectors = {layer: self._stack(rows)[back] for layer, rows in blocks.items()}
        return Encoded(part, tokens, padded, vectors, times)

    def _batch(
        self, encoder, part: np.ndarray, tokens: np.ndarray, features: dict[str, Any], batch: np.ndarray, budget: int
    ):
        """Layer -> vectors of one batch, and where the time went; in smaller pieces where memory does not suffice."""
        times = LayerTimes()
        try:
            rows = batches.select(features, batch) or self._features_of(part[batch])
            if (unpadding := kernels.unpadding(encoder)) and tokens[batch].any():
                rows = batches.flatten(rows, unpadding._flatten_position_offset)
            kept = {"store_dtype": self._store_dtype, "sparse": self._sparse, "times": times}
            return vectors_of(encoder, rows, self._layers, role=self._role, **kept), times
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            budget = self._out_of_memory(error, len(batch), budget)
        pieces = [
            self._batch(encoder, part, tokens, features, batch[piece], budget)
            for piece in self._cut(tokens[batch], budget)
        ]
        for _, spent in pieces:
            times.add(spent)
        return {layer: self._stack([vectors[layer] for vectors, _ in pieces]) for layer in self._layers}, times

    def _stack(self, rows: list) -> np.ndarray | csr_matrix:
        return vstack(rows, format="csr") if self._sparse else np.concatenate(rows)


def _one_ahead(pool: ThreadPoolExecutor, work: Callable, items: Iterable) -> Iterator[tuple[object, Future]]:
    """Each item with the future of its work; that of the next item has begun by then."""
    waiting: tuple | None = None
    for item in items:
        begun = item, pool.submit(work, item)
        if waiting:
            yield waiting
        waiting = begun
    if waiting:
        yield waiting
