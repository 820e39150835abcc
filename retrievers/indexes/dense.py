"""What the indexes of dense vectors share: metrics, checks, exact scoring of chosen rows."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import issparse

from retrievers.base import Documents
from retrievers.errors import RetrieverError
from retrievers.indexes.base_index import Index

METRICS = ("ip", "cosine", "l2", "l1")
# sentence-transformers' words.
SIMILARITIES = {
    "cosine": "cosine", "dot": "ip", "euclidean": "l2", "manhattan": "l1",
    "maxsim": "maxsim", "meanmaxsim": "meanmaxsim",
}  # fmt: skip


def metric_of(similarity: str) -> str:
    """The metric by which an index ranks as a model does that names this similarity.

    Raises:
        RetrieverError: it is not one of sentence-transformers'.
    """
    if similarity not in SIMILARITIES:
        raise RetrieverError(
            f"No index ranks by the similarity {similarity!r}.",
            f"Known: {', '.join(SIMILARITIES)}.",
        )
    return SIMILARITIES[similarity]


@dataclass(eq=False)
class DenseIndex(Index):
    """An index of vectors `[n, d]`.

    `metric`: "ip" (inner product), "cosine", "l2" or "l1", whose scores are minus the Euclidean and
    minus the Manhattan distance, as sentence-transformers' similarities are: higher is better
    everywhere.
    """

    takes: ClassVar[str] = "dense"

    metric: str = field(default="ip", kw_only=True)

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise RetrieverError(
                f"Unknown metric {self.metric!r}.", f"Known: {', '.join(METRICS)}."
            )
        super().__post_init__()

    @property
    def dim(self) -> int:
        """The dimension of the vectors; 0 while nothing is indexed."""
        return self._dim

    def _clear(self) -> None:
        self._dim = 0

    def _checked(self, documents: Documents) -> np.ndarray:
        vectors = check_vectors(documents)
        if self._dim and vectors.shape[1] != self._dim:
            raise RetrieverError(
                f"The vectors have {vectors.shape[1]} dimensions, those of the index {self._dim}.",
                "Encode with the model and the dimension that the index was built with.",
            )
        return vectors

    def _content(self, documents: np.ndarray) -> Iterator[tuple[str, memoryview]]:
        yield "vectors", np.ascontiguousarray(documents).data

    def _prepared(self, vectors: np.ndarray) -> np.ndarray:
        """float32, contiguous, and of length 1 where the metric is cosine."""
        vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        return normalised(vectors) if self.metric == "cosine" else vectors


def normalised(vectors: np.ndarray) -> np.ndarray:
    """Rows divided by their length; a zero row stays zero."""
    with np.errstate(over="ignore", under="ignore"):
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        extreme = ((lengths < 1e-15) | (lengths > 1e15))[:, 0]  # squares that float32 cannot hold
        unit: np.ndarray = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
    if extreme.any():
        exact = vectors[extreme].astype(np.float64)
        unit[extreme] = exact / np.maximum(
            np.linalg.norm(exact, axis=1, keepdims=True), np.finfo(np.float64).tiny
        )
    return unit


def check_vectors(vectors: Any) -> np.ndarray:
    """The vectors as a float array `[n, d]`.

    Raises:
        RetrieverError: they are something else, or hold NaN or infinity.
    """
    if issparse(vectors):
        raise RetrieverError(
            "A dense index was given sparse vectors.", "Use 'sparse', 'seismic' or 'lucene:impact'."
        )
    if hasattr(vectors, "detach"):  # a torch tensor
        vectors = vectors.detach().float().cpu().numpy()
    array: np.ndarray = np.asarray(vectors)
    if array.ndim != 2 or array.dtype.kind != "f":
        raise RetrieverError(
            f"Expected vectors as a float array [n, d], got {array.dtype} of shape"
            f" {list(array.shape)}.",
            "Encode texts first, or use a text retriever: 'lucene', or"
            " retrievers.pipelines.encoded(encoder, index).",
        )
    if not np.isfinite(array).all():
        row = int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])
        raise RetrieverError(
            f"The vector at row {row} holds NaN or infinity.", "Encode again, perhaps in float32."
        )
    return array
