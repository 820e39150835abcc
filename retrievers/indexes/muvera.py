"""Approximate late interaction: MUVERA's encodings in an index of dense vectors find candidates,
which MaxSim ranks (arXiv:2405.19504).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import ClassVar

import numpy as np

from retrievers import topk
from retrievers.base import Hits
from retrievers.errors import RetrieverError
from retrievers.fixed_encodings import FixedEncodings
from retrievers.indexes.base_index import Index, make_index
from retrievers.indexes.late_base import LateIndex
from retrievers.registry import canonical, load
from retrievers.token_vectors import TokenVectors


@dataclass(eq=False)
class MuveraIndex(LateIndex):
    """`muvera:faiss:sq8,candidates=200`: what stands behind the first colon is the index of the
    encodings, by a factory string without settings.

    `candidates`: documents that are found by their encodings, and ranked by MaxSim; never fewer
    than are asked for. `planes`, `repetitions`, `width` and `seed` are those of the encodings
    (`FixedEncodings`).
    """

    family: ClassVar[str] = "muvera"
    updatable: ClassVar[bool] = True
    ranges: ClassVar[Mapping[str, tuple[float, float]]] = {
        **LateIndex.ranges, "candidates": (1, inf), "planes": (1, 10), "repetitions": (1, 1_000),
        "width": (0, 4_096), "seed": (0, 2**31),
    }  # fmt: skip

    kind: str = "faiss:flat"
    candidates: int = field(default=200, kw_only=True)
    planes: int = field(default=4, kw_only=True)
    repetitions: int = field(default=20, kw_only=True)
    width: int = field(default=8, kw_only=True)
    seed: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        if (takes := make_index(self.kind).takes) != "dense":
            raise RetrieverError(
                f"MUVERA's encodings are dense vectors, and {self.kind} takes {takes}.",
                "Use muvera:faiss:flat, muvera:faiss:sq8, muvera:faiss:hnsw32 ...",
            )
        self.kind = canonical(self.kind)
        super().__post_init__()

    @property
    def codes(self) -> Mapping[str, str]:
        return {}

    def _clear(self) -> None:
        super()._clear()
        self._encodings: Index = make_index(self.kind, metric="ip")

    def _add(self, documents: TokenVectors) -> None:
        kept = self._kept(documents)
        held = self._encodings.ids
        first = int(held[-1]) + 1 if held else 0
        # Numbers of their own, which stay when rows move up.
        names = [str(number) for number in range(first, first + len(kept))]
        self._encodings.add(names, self._fixed(kept).documents(kept))

    def _keep(self, rows: np.ndarray) -> None:
        super()._keep(rows)
        gone = np.delete(np.arange(len(self._encodings.ids)), rows)
        self._encodings.delete([self._encodings.ids[row] for row in gone.tolist()])

    def _fixed(self, vectors: TokenVectors) -> FixedEncodings:
        return FixedEncodings(vectors.dim, self.planes, self.repetitions, self.width, self.seed)

    def _search(self, queries: TokenVectors, k: int, rows: np.ndarray | None) -> Hits:
        count = len(self.ids) if rows is None else len(rows)
        if count <= max(k, self.candidates):
            rows = np.arange(len(self.ids)) if rows is None else rows
            return self._ranked(queries, k, rows)
        encoded = self._fixed(queries).queries(queries)
        found = self._encodings.search(encoded, max(k, self.candidates), only=rows)
        answers = [self._among(queries[q : q + 1], k, found.rows[q]) for q in range(len(queries))]
        return Hits(
            np.concatenate([each.rows for each in answers]),
            np.concatenate([each.scores for each in answers]),
        )

    def _among(self, query: TokenVectors, k: int, found: np.ndarray) -> Hits:
        return topk.pad(self._ranked(query, k, np.sort(found[found >= 0])), k)

    def memory_bytes(self) -> int:
        return super().memory_bytes() + self._encodings.memory_bytes()

    def _write(self, target: Path) -> None:
        super()._write(target)
        self._encodings.save(target / "encodings")

    def _read(self, path: Path) -> None:
        super()._read(path)
        encodings = load(path / "encodings")
        if not isinstance(encodings, Index):
            raise RetrieverError("The index holds no encodings.", "Build it again.")
        self._expect(len(encodings.ids), "encodings")
        self._encodings = encodings
