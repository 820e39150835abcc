"""Exact dense search with torch, on CPU or GPU, in chunks."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeAlias

import numpy as np
import torch

from retrievers.base import Hits
from retrievers.errors import RetrieverError
from retrievers.indexes.dense import DenseIndex
from retrievers.indexes.vectors import write_rows

_DOCUMENTS = 50_000  # rows per matrix product: with 1,024 queries the scores take 200 MB
_QUERIES = 1024
_DISTANCES = 4096  # rows per product where it is taken in float64
_Best: TypeAlias = tuple[torch.Tensor, torch.Tensor]  # scores, best first, and their columns


@dataclass(eq=False)
class TorchIndex(DenseIndex):
    """Every document is scored. Vectors stay in the precision they came in;
    scores are computed in float32.

    `device` is a torch device; by default a GPU where there is one.
    """

    family: ClassVar[str] = "torch"
    updatable: ClassVar[bool] = True

    device: str = ""

    def __post_init__(self) -> None:
        try:
            torch.empty(0, device=self.on)
        except (RuntimeError, AssertionError, TypeError) as error:
            problem = str(error).partition("\n")[0]
            raise RetrieverError(
                f"The device {self.device!r} is not there: {problem}", "Use cpu or cuda."
            ) from error
        super().__post_init__()

    @property
    def exact(self) -> bool:
        return True

    @property
    def on(self) -> str:
        """The device in use."""
        return self.device or ("cuda" if torch.cuda.is_available() else "cpu")

    def _clear(self) -> None:
        super()._clear()
        self._chunks: list[torch.Tensor] = []

    def _add(self, vectors: np.ndarray) -> None:
        self._dim = vectors.shape[1]
        if self.metric == "cosine":
            vectors = self._prepared(vectors).astype(vectors.dtype, copy=False)
        # On the CPU this shares the caller's memory: the corpus is never held twice.
        self._chunks += torch.from_numpy(_writable(vectors)).to(self.on).split(_DOCUMENTS)

    def _keep(self, rows: np.ndarray) -> None:
        starts = np.cumsum([0, *map(len, self._chunks)])
        owner = np.searchsorted(starts, rows, side="right") - 1
        chosen = [rows[owner == number] - start for number, start in enumerate(starts[:-1])]
        self._chunks = [
            chunk[torch.from_numpy(here).to(chunk.device)]
            for chunk, here in zip(self._chunks, chosen, strict=True)
            if len(here)
        ]

    def _search(self, queries: np.ndarray, k: int, rows: np.ndarray | None) -> Hits:
        wanted = torch.from_numpy(self._prepared(queries)).to(self.on)
        together = min(len(wanted), _QUERIES)
        # One buffer for all scores: fresh memory for each product takes a quarter of the time of a
        # CPU's search.
        columns = max(max(map(len, self._chunks)), _columns(self.on, together))
        buffer = torch.empty(together * min(columns, len(self.ids)), device=self.on)
        parts = [self._search_batch(batch, k, rows, buffer) for batch in wanted.split(_QUERIES)]
        return Hits(
            np.concatenate([p.rows for p in parts]), np.concatenate([p.scores for p in parts])
        )

    def _search_batch(
        self, queries: torch.Tensor, k: int, rows: np.ndarray | None, buffer: torch.Tensor
    ) -> Hits:
        best: _Best | None = None
        start = 0  # of the documents that are searched
        for chunks in self._groups(_columns(self.on, len(queries)), rows):
            sizes = list(map(len, chunks))
            scores = buffer[: len(queries) * sum(sizes)].view(len(queries), -1)
            for chunk, out in zip(chunks, scores.split(sizes, dim=1), strict=True):
                self._score(queries, chunk.float(), out)
            values, columns = _top(scores, k)
            found = values, columns + start
            best = found if best is None else _merged(best, found, k)
            start += sum(sizes)
        assert best is not None  # an empty filter is answered by `search`
        places = best[1].cpu().numpy()
        found_rows = places if rows is None else rows[places]
        return Hits(found_rows.astype(np.int32), best[0].cpu().numpy())

    def _groups(self, most: int, rows: np.ndarray | None) -> Iterator[list[torch.Tensor]]:
        """Documents that are scored before the best of them are chosen: a chunk, or several with
        `most` documents together.
        """
        group: list[torch.Tensor] = []
        start = 0
        for chunk in self._chunks:
            first, start = start, start + len(chunk)
            if rows is not None:
                here = rows[(rows >= first) & (rows < start)]
                chunk = chunk[torch.from_numpy(here - first).to(chunk.device)]
            if not len(chunk):
                continue
            if group and sum(map(len, group)) + len(chunk) > most:
                yield group
                group = []
            group.append(chunk)
        if group:
            yield group

    def _score(self, queries: torch.Tensor, documents: torch.Tensor, out: torch.Tensor) -> None:
        if self.metric in ("ip", "cosine"):
            torch.mm(queries, documents.T, out=out)
            return
        for part, scores in zip(
            documents.split(_DISTANCES), out.split(_DISTANCES, dim=1), strict=True
        ):
            scores.copy_(_distances(queries, part, self.metric).neg_())

    def memory_bytes(self) -> int:
        return sum(chunk.numel() * chunk.element_size() for chunk in self._chunks)

    def _write(self, target: Path) -> None:
        # Chunk by chunk, so that a GPU's index does not have to fit into the host's memory at once.
        dtype = self._chunks[0].cpu().numpy().dtype if self._chunks else np.float32
        chunks = (chunk.cpu().numpy() for chunk in self._chunks)
        write_rows(target / "vectors.npy", chunks, (len(self.ids), self._dim), dtype)

    def _read(self, path: Path) -> None:
        # Copy on write: the file is mapped, not read, and never written to.
        vectors = np.load(path / "vectors.npy", mmap_mode="c")
        if vectors.dtype not in (np.float16, np.float32):
            raise RetrieverError(
                f"The index holds {vectors.dtype}, not floats.", "Build the index again."
            )
        self._expect(len(vectors), "vectors")
        self._dim = vectors.shape[1]
        self._chunks = list(torch.from_numpy(vectors).to(self.on).split(_DOCUMENTS))


def _distances(queries: torch.Tensor, documents: torch.Tensor, metric: str) -> torch.Tensor:
    """Distances `[q, n]`.
    In float32, the products behind an L2 distance cancel each other far from the origin.
    """
    if metric == "l1" or queries.device.type == "mps":  # which has no float64
        mode = "donot_use_mm_for_euclid_dist"
        return torch.cdist(queries, documents, p=1.0 if metric == "l1" else 2.0, compute_mode=mode)
    queries, documents = queries.double(), documents.double()
    squares = torch.mm(queries, documents.T).mul_(-2)
    squares.add_(queries.square().sum(1)[:, None]).add_(documents.square().sum(1))
    return squares.clamp_(min=0).sqrt_()


def _columns(device: str, queries: int) -> int:
    """How many documents are scored before the best of them are chosen: on the CPU a chunk's, which
    are in its cache; a GPU would wait for each choice, and takes as many as its scores have room.
    """
    return 0 if device == "cpu" else _QUERIES * _DOCUMENTS // queries


def _top(scores: torch.Tensor, k: int) -> _Best:
    """As `topk.top`, where the scores are: the `k` best with their columns, ties by column."""
    k = min(k, scores.shape[1])
    values, columns = scores.topk(min(k + 1, scores.shape[1]), dim=1)
    tied = (
        values[:, k - 1] == values[:, -1] if values.shape[1] > k else values[:, 0] != values[:, 0]
    )
    values, columns = values[:, :k], columns[:, :k].clone()
    for query in torch.nonzero(tied)[:, 0].tolist():  # which of the equal ones torch took is chance
        above = columns[query][values[query] > values[query, -1]]
        equal = torch.nonzero(scores[query] == values[query, -1])[:, 0]
        columns[query] = torch.cat([above, equal[: k - len(above)]])
    columns = columns.sort(dim=1).values
    values, order = scores.gather(1, columns).sort(dim=1, descending=True, stable=True)
    return values, columns.gather(1, order)


def _merged(first: _Best, second: _Best, k: int) -> _Best:
    """The `k` best of two answers in order; all documents of the first come before the second's."""
    values, order = torch.cat([first[0], second[0]], 1).sort(dim=1, descending=True, stable=True)
    return values[:, :k], torch.cat([first[1], second[1]], 1).gather(1, order[:, :k])


def _writable(vectors: np.ndarray) -> np.ndarray:
    return vectors if vectors.flags.writeable and vectors.flags.c_contiguous else np.array(vectors)
