"""Vectors of a model that is a Python object: made anew each time and held in memory, for nobody
knows what shaped them, and a store would give them back when it has changed.
"""

import time
from collections.abc import Iterator, Sequence

import numpy as np
from scipy import sparse

from embedlab.encoding.cost import Cost
from embedlab.models.objects import ObjectModel
from embedlab.options import EncodingOptions
from embedlab.progress import Reporter
from retrievers.indexes.chunked import numbered
from retrievers.token_vectors import Rows, TokenVectors, stacked

_CHUNK = 1_024  # texts given to the object at once


class MemoryVectors:
    """Vectors of a list of texts, in its order: what `vector_store.Vectors` is, without files."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self.sparse = sparse.issparse(rows)

    def __len__(self) -> int:
        return len(self._rows) if isinstance(self._rows, TokenVectors) else self._rows.shape[0]

    @property
    def dim(self) -> int:
        rows = self._rows
        return rows.dim if isinstance(rows, TokenVectors) else int(rows.shape[1])

    @property
    def components(self) -> int:
        """Numbers that these vectors hold, of sparse ones what is not 0."""
        rows = self._rows
        if sparse.issparse(rows):
            return int(rows.nnz)
        return int((rows.codes if isinstance(rows, TokenVectors) else rows).size)

    def tokens(self) -> np.ndarray:
        """Tokens of each text, 0 where nobody counts them, `[n]`."""
        rows = self._rows
        return rows.lengths if isinstance(rows, TokenVectors) else np.zeros(len(self), np.int64)

    def read(self, start: int = 0, stop: int | None = None) -> Rows:
        """Rows start to stop as float32 `[n, d]`, as a CSR matrix, or as token vectors."""
        return self._rows[start:stop]

    def at(self, rows: np.ndarray) -> Rows:
        """These rows, as `read` gives them."""
        return self._rows[rows]

    def chunks(self, size: int = 16_384) -> Iterator[Rows]:
        """All rows in order, `size` at a time."""
        for start in range(0, len(self), size):
            yield self.read(start, start + size)

    def blocks(self, size: int = 16_384) -> Iterator[tuple[np.ndarray, Rows]]:
        """The chunks with the places of their rows."""
        return numbered(self.chunks(size))


class ObjectEncoder:
    """What `encode.Encoder` is to a loaded model, for an object:
    its own `encode`, in one layer, nothing kept.
    """

    options = EncodingOptions()

    def __init__(self, model: ObjectModel, reporter: Reporter) -> None:
        self.model, self.reporter = model, reporter

    def encode(
        self,
        texts: Sequence[str],
        *,
        role: str,
        prompt: str = "",
        layers: Sequence[int | None] = (None,),
    ) -> tuple[dict[int | None, MemoryVectors], Cost]:
        """Vectors of all texts, each distinct one made once;
        arguments and answer are those of `Encoder.encode`.
        """
        distinct = list(dict.fromkeys(texts))
        began, parts = time.perf_counter(), []
        with self.reporter.phase(f"encode {role}", len(distinct), "texts") as bar:
            for start in range(0, len(distinct), _CHUNK):
                part = distinct[start : start + _CHUNK]
                parts.append(self.model.encoder.encode([prompt + text for text in part], role))
                bar.advance(len(part), len(part))
        seconds = time.perf_counter() - began
        row_of = {text: row for row, text in enumerate(distinct)}
        rows = stacked(parts)[[row_of[text] for text in texts]]
        cost = Cost(
            len(texts),
            measured_seconds=seconds,
            seconds=seconds,
            encoded_texts=len(distinct),
            first_inputs=[prompt + text[:2000] for text in texts[:1]],
            kernels="the object's own",
        )
        return {None: MemoryVectors(rows)}, cost
