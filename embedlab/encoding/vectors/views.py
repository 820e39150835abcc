"""Views of one encoding pass: layer x dimensions x precision x index."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from embedlab.errors import UserError, unknown
from retrievers.indexes.base_index import make_index

PRECISIONS = ("float32", "float16", "int8", "binary")


class View(NamedTuple):
    """One way to look at the vectors of a pass;
    None stands for the model's full depth or full width.
    """

    layer: int | None = None
    dim: int | None = None
    precision: str = "float32"
    index: str = "faiss:flat"  # type: ignore[assignment]  # a tuple's own `index`, which no view needs
    chunk: str = ""  # how documents are cut; whole where it is empty


def cross(
    layers: Sequence[int | None],
    dims: Sequence[int | None],
    precisions: Sequence[str],
    indexes: Sequence[str],
    *,
    pairs: Sequence[tuple[int | None, int | None]] = (),
) -> list[View]:
    """Every combination of the given values, or with `pairs` only those of (layer, dim).

    Raises:
        UserError: an unknown precision.
    """
    for precision in precisions:
        if precision not in PRECISIONS:
            raise unknown("precision", precision, PRECISIONS, f"Valid: {', '.join(PRECISIONS)}.")
    shapes: list[tuple[int | None, int | None]] = list(pairs) or list(product(layers, dims))
    return [
        View(layer, dim, precision, index)
        for (layer, dim), precision, index in product(shapes, precisions, indexes)
    ]


def shape(vectors: np.ndarray, view: View, *, normalise: bool) -> np.ndarray:
    """The view's dimensions of float32 vectors `[n, d]`,
    normalised after the cut where the similarity is cosine.

    Precision float16 is applied here; int8 and binary are the index's codes (see `coded`).
    """
    vectors = vectors[:, : view.dim] if view.dim else vectors
    if normalise:
        vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    if view.precision == "float16":
        vectors = vectors.astype(np.float16).astype(np.float32)
    return np.ascontiguousarray(vectors, dtype=np.float32)


class Quantiser:
    """int8 and binary codes for uses without an index of their own:
    per-dimension ranges come from one sample.

    int8: 255 equal steps between each dimension's least and greatest value in the sample. binary:
    the sign. Codes are returned as the float32 numbers that they stand for.
    """

    def __init__(self, sample: np.ndarray, precision: str) -> None:
        self.precision = precision
        self._low, self._high = sample.min(axis=0), sample.max(axis=0)

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        if self.precision == "binary":
            return np.where(vectors > 0, np.float32(1), np.float32(-1))
        if self.precision == "int8":
            step = np.maximum(self._high - self._low, 1e-12) / 255
            codes = np.clip(np.round((vectors - self._low) / step), 0, 255)
            stands_for: np.ndarray = (self._low + codes * step).astype(np.float32)
            return stands_for
        return vectors


def coded(index: str, precision: str) -> str:
    """The index that holds real codes of a precision: an exact index becomes its quantised form.

    Raises:
        UserError: the index has a coding of its own, which a second one would hide.
    """
    if precision in ("float32", "float16"):
        return index
    # An index with settings of its own has no coded form: the settings would be lost.
    codes: Mapping[str, str] = {} if "," in index else make_index(index).codes
    if precision not in codes:
        raise UserError(
            f"--precision {precision} goes with --index faiss:flat, not {index}.",
            "Quantised indexes are chosen by name, e.g. --index faiss:sq8,faiss:binary.",
        )
    return codes[precision]
