"""Token vectors of a text as one vector, whose inner products are near MaxSim: MUVERA's fixed
dimensional encodings (arXiv:2405.19504, section 2).

Random hyperplanes cut the space into 2 ** planes cells, `repetitions` times over. In each cell
stands the sum of a query's tokens that fall into it, and the mean of a document's; in a cell
without any, the document's token whose cell differs in fewest planes. Each is projected to `width`
dimensions by random signs.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from retrievers.token_vectors import TokenVectors

_TOKENS = 100_000  # encoded at a time


@dataclass(frozen=True)
class FixedEncodings:
    """Encodings of `dim` = repetitions * 2 ** planes * width dimensions.

    Args:
        tokens: dimensions of a token vector.
        width: dimensions of a cell; 0 keeps those of the tokens.
    """

    tokens: int
    planes: int
    repetitions: int
    width: int
    seed: int

    @property
    def dim(self) -> int:
        return self.repetitions * (1 << self.planes) * (self.width or self.tokens)

    def queries(self, texts: TokenVectors) -> np.ndarray:
        """float32 `[n, dim]`, sums."""
        return self._encoded(texts, documents=False)

    def documents(self, texts: TokenVectors) -> np.ndarray:
        """float32 `[n, dim]`, means; cells without a token filled."""
        return self._encoded(texts, documents=True)

    @cached_property
    def _random(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Hyperplanes `[tokens, repetitions * planes]`, signs `[tokens, repetitions * width]`."""
        random = np.random.default_rng(self.seed)
        planes = random.standard_normal((self.tokens, self.repetitions * self.planes))
        signs = random.integers(0, 2, (self.tokens, self.repetitions * self.width)) * 2.0 - 1
        return planes.astype(np.float32), (
            (signs / np.sqrt(self.width)).astype(np.float32) if self.width else None
        )

    def _encoded(self, texts: TokenVectors, *, documents: bool) -> np.ndarray:
        encoded = np.zeros((len(texts), self.dim), dtype=np.float32)
        for rows in texts.groups(_TOKENS):
            part = texts[rows]
            full = np.flatnonzero(part.lengths)
            if len(full):
                encoded[rows][full] = self._part(part[full], documents=documents)
        return encoded

    def _part(self, texts: TokenVectors, *, documents: bool) -> np.ndarray:
        vectors = texts.floats()
        planes, signs = self._random
        beyond = (vectors @ planes).reshape(len(vectors), self.repetitions, self.planes) > 0
        cells = beyond @ (1 << np.arange(self.planes))
        width = self.width or self.tokens
        encoded = np.empty((len(texts), self.repetitions, (1 << self.planes) * width), np.float32)
        for number in range(self.repetitions):
            here = vectors if signs is None else vectors @ signs[:, number * width :][:, :width]
            encoded[:, number] = self._cells(texts, here, cells[:, number], documents=documents)
        return encoded.reshape(len(texts), -1)

    def _cells(
        self, texts: TokenVectors, vectors: np.ndarray, cells: np.ndarray, *, documents: bool
    ) -> np.ndarray:
        """One repetition: `[n, 2 ** planes * width]`."""
        count = 1 << self.planes
        places = np.repeat(np.arange(len(texts)), texts.lengths) * count + cells
        tokens = np.arange(len(vectors))
        shape = (len(texts) * count, len(vectors))
        sums = sparse.csr_matrix((np.ones(len(tokens), np.float32), (places, tokens)), shape)
        filled: np.ndarray = sums @ vectors
        if documents:
            there = np.bincount(places, minlength=len(filled))
            filled /= np.maximum(there, 1)[:, None]
            empty = np.flatnonzero(there == 0)
            filled[empty] = vectors[self._nearest(texts, cells)[empty]]
        return filled.reshape(len(texts), -1)

    def _nearest(self, texts: TokenVectors, cells: np.ndarray) -> np.ndarray:
        """For each text and cell, the token whose cell differs in fewest planes, the first of
        several: `[n * 2 ** planes]`.
        """
        count, starts = 1 << self.planes, texts.offsets[:-1] - texts.offsets[0]
        differing = np.array([number.bit_count() for number in range(count)], dtype=np.int64)
        places = np.arange(len(cells), dtype=np.int64)
        nearest = [
            np.minimum.reduceat(differing[cells ^ cell] * len(cells) + places, starts) % len(cells)
            for cell in range(count)
        ]
        return np.stack(nearest, axis=1).reshape(-1)
