"""What the indexes of token vectors share: settings, checks, codes, pooling of tokens."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from retrievers import token_codes, topk
from retrievers.base import Documents, Hits
from retrievers.errors import RetrieverError
from retrievers.indexes.base_index import Index
from retrievers.token_vectors import TokenVectors, check_token_vectors, maxsim

METRICS = ("maxsim", "meanmaxsim")


@dataclass(eq=False)
class LateIndex(Index):
    """An index of token vectors (`TokenVectors`, or one array `[t_i, d]` for each text).

    `bits` of each component: 32, 16, 8, 4, 2, 1. `pool`: about so many neighbouring tokens of a
    document become one, by Ward's clusters of their cosines (sentence-transformers'
    HierarchicalTokenPooling; arXiv:2409.14683). `metric`: "maxsim", or "meanmaxsim", which divides
    by the query's tokens.
    """

    takes: ClassVar[str] = "multi-vector"
    ranges: ClassVar[Mapping[str, tuple[float, float]]] = {"bits": (1, 32), "pool": (1, inf)}

    bits: int = field(default=32, kw_only=True)
    pool: float = field(default=1.0, kw_only=True)
    metric: str = field(default="maxsim", kw_only=True)

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise RetrieverError(
                f"Token vectors are ranked by maxsim, not by {self.metric!r}.",
                f"Known: {', '.join(METRICS)}.",
            )
        super().__post_init__()
        token_codes.check_bits(self.bits)

    @property
    def codes(self) -> Mapping[str, str]:
        named = {"float16": 16, "int8": 8, "binary": 1}
        return {name: f"{self.family},bits={bits}" for name, bits in named.items()}

    def _clear(self) -> None:
        self._parts: list[TokenVectors] = []  # of the documents, in their order

    def _checked(self, documents: Documents) -> TokenVectors:
        vectors = check_token_vectors(documents)
        if self._parts and len(vectors) and vectors.dim != self._parts[0].dim:
            raise RetrieverError(
                f"The token vectors have {vectors.dim} dimensions, those of the index"
                f" {self._parts[0].dim}.",
                "Encode with the model that the index was built with.",
            )
        return vectors

    def _content(self, documents: TokenVectors) -> Iterator[tuple[str, memoryview]]:
        yield "lengths", np.ascontiguousarray(documents.lengths).data
        yield "vectors", np.ascontiguousarray(documents.floats()).data

    def _kept(self, documents: TokenVectors) -> TokenVectors:
        """The documents' tokens as the index holds them."""
        pooled = pooled_tokens(documents, self.pool) if self.pool > 1 else documents
        own = pooled.coded(self.bits)
        self._parts.append(own)
        return own

    def _keep(self, rows: np.ndarray) -> None:
        self._parts = [TokenVectors.joined(self._parts)[rows]]

    def _scores(self, queries: TokenVectors, rows: np.ndarray) -> np.ndarray:
        """Scores `[q, len(rows)]` of these documents, rows ascending."""
        starts = np.cumsum([0, *map(len, self._parts)])
        owner = np.searchsorted(starts, rows, side="right") - 1
        parts = [
            maxsim(queries, _chosen(part, rows[owner == number] - starts[number]), mean=self._mean)
            for number, part in enumerate(self._parts)
            if (owner == number).any()
        ]
        return np.concatenate(parts, axis=1) if parts else np.empty((len(queries), 0), np.float32)

    def _ranked(self, queries: TokenVectors, k: int, rows: np.ndarray) -> Hits:
        return topk.top(self._scores(queries, rows), k, rows)

    @property
    def _mean(self) -> bool:
        return self.metric == "meanmaxsim"

    def memory_bytes(self) -> int:
        return sum(part.nbytes for part in self._parts)

    def _write(self, target: Path) -> None:
        whole = TokenVectors.joined(self._parts)
        arrays = {"codes": whole.codes, "offsets": whole.offsets, "factors": whole.factors}
        for name, array in arrays.items():
            if array is not None:
                np.save(target / f"{name}.npy", array, allow_pickle=False)
        np.save(target / "dim.npy", np.array([whole.dim]), allow_pickle=False)

    def _read(self, path: Path) -> None:
        read: dict[str, Any] = {
            file.stem: np.load(file, mmap_mode="r", allow_pickle=False)
            for file in path.glob("*.npy")
        }
        dim = int(read.pop("dim")[0])
        whole = TokenVectors(
            read["codes"], np.array(read["offsets"]), bits=self.bits, factors=read.get("factors"),
            dim=dim,
        )  # fmt: skip
        self._expect(len(whole), "texts of tokens")
        if (
            whole.offsets[0] != 0
            or whole.offsets[-1] != len(whole.codes)
            or whole.lengths.min() < 0
        ):
            raise RetrieverError("The index's tokens do not fit its texts.", "Build it again.")
        self._parts = [whole]


def _chosen(part: TokenVectors, rows: np.ndarray) -> TokenVectors:
    """The texts at these rows, ascending; where they follow each other, without a copy."""
    if len(rows) == rows[-1] - rows[0] + 1:
        return part[int(rows[0]) : int(rows[-1]) + 1]
    return part[rows]


def pooled_tokens(documents: TokenVectors, factor: float) -> TokenVectors:
    """Documents with about `1 / factor` of their tokens; the first, [CLS], stays as it is."""
    import torch
    from sentence_transformers.multi_vector_encoder.modules import HierarchicalTokenPooling

    pooling = HierarchicalTokenPooling(factor)
    texts = (torch.from_numpy(np.array(text)) for text in documents)
    return TokenVectors.of([pooling.pool_one(text) if len(text) else text for text in texts])
