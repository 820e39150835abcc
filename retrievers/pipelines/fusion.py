"""Several retrievers as one: reciprocal rank fusion, and weighted sums of normalised scores."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from retrievers import folder, ties, topk
from retrievers.base import Documents, Hits, Only, Queries, Retriever
from retrievers.errors import RetrieverError
from retrievers.index_checks import allowed_rows, check_indexed, check_new
from retrievers.metadata_columns import Columns
from retrievers.names import rows_in, united

METHODS = ("rrf", "min-max", "z-score")


def rrf(
    *parts: Retriever, k: int = 60, depth: int = 1000, weights: Sequence[float] | None = None
) -> "Fusion":
    """Reciprocal rank fusion: the sum of weight / (k + rank) over the parts
    (Cormack et al., SIGIR 2009).
    """
    return Fusion(parts, "rrf", weights, depth, k)


def weighted(
    *parts: Retriever,
    weights: Sequence[float] | None = None,
    normalise: str = "min-max",
    depth: int = 1000,
) -> "Fusion":
    """The weighted sum of the parts' scores,
    normalised within each query's list by "min-max" or "z-score".
    """
    return Fusion(parts, normalise, weights, depth)


class Fusion(Retriever):
    """A retriever over several, which get the same documents and queries.

    Each part is asked for its `depth` best (more where `k` is larger). A document that a part did
    not find counts as that part's lowest score in the list; for "rrf" it counts nothing. Parts may
    hold their documents in different orders, or different documents: ids decide what is the same,
    and how ties rank (see `ties`).
    """

    settles_ties: ClassVar[bool] = True

    def __init__(
        self,
        parts: Sequence[Retriever],
        method: str = "rrf",
        weights: Sequence[float] | None = None,
        depth: int = 1000,
        k: int = 60,
    ):
        if len(parts) < 2:
            raise RetrieverError(
                f"A fusion of {len(parts)} retrievers.", "Give two or more: rrf(a, b)."
            )
        if method not in METHODS:
            raise RetrieverError(f"Unknown fusion {method!r}.", f"Known: {', '.join(METHODS)}.")
        if weights is not None and len(weights) != len(parts):
            raise RetrieverError(
                f"{len(weights)} weights for {len(parts)} retrievers.", "Give one weight for each."
            )
        if depth < 1 or k < 0:
            raise RetrieverError(
                f"A fusion with depth {depth} and k {k}.", "The depth is 1 or more, k 0 or more."
            )
        self.parts, self.method, self.depth, self.k = list(parts), method, depth, k
        self.weights = [
            float(weight) for weight in (weights if weights is not None else [1.0] * len(parts))
        ]
        if not np.isfinite(self.weights).all():
            raise RetrieverError(
                f"The weights {self.weights} are not all numbers.", "Weights are finite numbers."
            )
        if max(self.weights) <= 0:
            # Every document would score alike, or the worst would come first.
            raise RetrieverError(
                f"None of the weights {self.weights} is above 0.",
                "Give one retriever or more a weight above 0.",
            )
        self._merged = _Merged([], [], [], [])

    @property
    def ids(self) -> Sequence[str]:  # type: ignore[override]  # those of the parts, not to be set
        return self._table().ids

    def index(self, ids: Sequence[str], documents: Documents) -> "Fusion":
        for part in self.parts:
            part.index(ids, documents)
        return self

    def add(self, ids: Sequence[str], documents: Documents) -> "Fusion":
        check_new(ids, self.ids)
        for part in self.parts:
            part.add(ids, documents)
        return self

    def replace(self, ids: Sequence[str], documents: Documents) -> "Fusion":
        for part in self.parts:
            part.replace(ids, documents)
        return self

    def delete(self, ids: Collection[str]) -> "Fusion":
        names = list(ids)
        check_indexed(ids, self.ids)
        for part in self.parts:
            if there := [names[at] for at in np.flatnonzero(rows_in(part.ids, names) >= 0)]:
                part.delete(there)
        return self

    def search(self, queries: Queries, k: int, *, only: Only | None = None) -> Hits:
        k, table = topk.check_k(k), self._table()
        ids, here = table.ids, None
        allowed = None if only is None else allowed_rows(only, ids)
        answers = []
        for part, rows, places in zip(self.parts, table.rows, table.places, strict=True):
            if allowed is not None:
                here = places[allowed]
                here = here[here >= 0]
            hits = ties.search(part, queries, max(k, self.depth), only=here)
            answers.append(Hits(np.where(hits.rows >= 0, rows[hits.rows], -1), hits.scores))
        everything = sum(hits.rows.shape[1] for hits in answers)
        fused = fuse(answers, self.method, self.weights, everything, self.k)
        return topk.pad(ties.by_id(fused, ids), k)

    def text(self, row: int) -> str | None:
        texts = (part.text(place) for part, place in self._places(row))
        return next((text for text in texts if text is not None), None)

    def metadata(self, row: int) -> dict[str, Any]:
        each_part = (part.metadata(place) for part, place in self._places(row))
        return next((metadata for metadata in each_part if metadata), {})

    @property
    def columns(self) -> Columns:
        """Of the first part that knows metadata, where that holds all documents in this order."""
        for part, rows in zip(self.parts, self._table().rows, strict=True):
            same = np.array_equal(rows, np.arange(len(self.ids)))
            if same and (columns := part.columns).kinds:
                return columns
        return super().columns

    def _places(self, row: int) -> Iterator[tuple[Retriever, int]]:
        """The parts that hold the document at `row`, and its row in them."""
        for part, places in zip(self.parts, self._table().places, strict=True):
            if places[row] >= 0:
                yield part, int(places[row])

    def save(self, path: Path) -> None:
        manifest = {
            "retriever": "fusion",
            "settings": {
                "method": self.method,
                "weights": self.weights,
                "depth": self.depth,
                "k": self.k,
            },
            "parts": len(self.parts),
            "documents": len(self.ids),
        }

        def fill(target: Path) -> None:
            for number, part in enumerate(self.parts):
                part.save(target / f"part-{number}")

        folder.write(path, manifest, fill)

    @classmethod
    def opened(
        cls, path: Path, manifest: dict[str, Any], data: Path, encoder: Any = None
    ) -> "Fusion":
        from retrievers.registry import load

        parts = [load(data / f"part-{number}", encoder) for number in range(manifest["parts"])]
        return cls(parts, **manifest["settings"])

    def _table(self) -> "_Merged":
        """All ids, and where each part has its documents among them."""
        lists = [(part.ids, len(part.ids)) for part in self.parts]
        # The very lists that were merged, none longer by now:
        # a part that is indexed anew has a new one.
        known = zip(self._merged.lists, lists, strict=False)
        if not self._merged.lists or any(
            was is not now or size != length for (was, size), (now, length) in known
        ):
            ids, rows = united([part.ids for part in self.parts])
            places = [np.full(len(ids), -1, dtype=np.int64) for _ in rows]
            for back, its_rows in zip(places, rows, strict=True):
                back[its_rows] = np.arange(len(its_rows))
            self._merged = _Merged(lists, ids, rows, places)
        return self._merged


class _Merged(NamedTuple):
    """The documents of all parts together.

    lists: the ids of each part, and how many they were.
    rows: for each part, the row of each of its documents.
    places: for each part, where it has the document at each row; -1 where it has none.
    """

    lists: list[tuple[Sequence[str], int]]
    ids: Sequence[str]
    rows: list[np.ndarray]
    places: list[np.ndarray]


def fuse(
    answers: Sequence[Hits], method: str, weights: Sequence[float], k: int, constant: int = 60
) -> Hits:
    """One answer from several about the same rows, the best `k` of each query."""
    rows = np.hstack([hits.rows for hits in answers])
    gains = np.hstack(
        [w * _gains(hits, method, constant) for hits, w in zip(answers, weights, strict=True)]
    )
    # Equal rows of a query stand together once sorted;
    # their gains are summed into the first of each group.
    order = np.argsort(rows, axis=1, kind="stable")
    rows, gains = np.take_along_axis(rows, order, axis=1), np.take_along_axis(gains, order, axis=1)
    first = np.ones(rows.shape, dtype=bool)
    first[:, 1:] = rows[:, 1:] != rows[:, :-1]
    totals = np.zeros(rows.shape)
    if rows.size:
        totals[first] = np.add.reduceat(gains.ravel(), np.flatnonzero(first))
    return topk.best(np.where(first, rows, -1), totals, k)


def _gains(hits: Hits, method: str, constant: int) -> np.ndarray:
    """What each place adds, float64; 0 for a document that was not found, and for empty places."""
    there = hits.rows >= 0
    if method == "rrf":
        return np.where(there, 1.0 / (constant + 1 + np.arange(hits.rows.shape[1])), 0.0)
    scores = hits.scores.astype(np.float64)
    with np.errstate(invalid="ignore"):
        above = np.where(
            there,
            scores - np.where(there, scores, np.inf).min(axis=1, keepdims=True, initial=np.inf),
            0,
        )
    if method == "min-max":
        spread = above.max(axis=1, keepdims=True, initial=0)
    else:
        spread = np.where(there, above, np.nan)
        spread = np.sqrt(_mean((spread - _mean(spread)) ** 2))
    # All scores equal: every document that was found gets the same, and it counts.
    return np.where(there, np.where(spread > 0, above / np.where(spread > 0, spread, 1), 1.0), 0.0)


def _mean(values: np.ndarray) -> np.ndarray:
    """Row means that leave NaN out, `[q, 1]`; 0 for a row of nothing else."""
    count = (~np.isnan(values)).sum(axis=1, keepdims=True)
    means: np.ndarray = np.nansum(values, axis=1, keepdims=True) / np.maximum(count, 1)
    return means
