"""The one file with faiss: flat, HNSW, IVF, scalar and product quantisation, binary codes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from retrievers import topk
from retrievers.base import Hits, Retriever
from retrievers.errors import RetrieverError
from retrievers.indexes.dense import DenseIndex, normalised
from retrievers.indexes.vectors import Vectors, signs
from retrievers.registry import make

try:
    import faiss
except ImportError as missing:
    raise RetrieverError(
        "FAISS is not installed.", "Type: pip install 'embedlab[cpu]'"
    ) from missing

KINDS = "flat, hnsw32, ivf64, ivf64,sq8, ivf64,pq48, sq8, pq48, binary"
_CODE = r"(flat|sq8|pq(?P<pq>\d+))"
_KIND = re.compile(
    rf"binary|hnsw\d+|{_CODE}|ivf(?P<ivf>\d+)(,{_CODE.replace('?P<pq>', '?P<ivfpq>')})?"
)
_METRICS = {"l2": faiss.METRIC_L2, "l1": faiss.METRIC_L1}
# Least and most.
_NUMBERS = {"hnsw": (2, 2048), "ivf": (1, 1 << 24), "sq": (8, 8), "pq": (1, 1 << 16)}
_GPU_K = 2048  # the most results that FAISS returns on a GPU
_FILTER_ROWS = 50_000  # documents that a filtered search decodes at a time


@dataclass(eq=False)
class FaissIndex(DenseIndex):
    """An index as FAISS builds it (Douze et al., arXiv:2401.08281).

    `kind`: flat (exact), hnswM (a graph with M links), ivfN (N clusters, of which `nprobe` are
    searched; codes flat, sq8 or pqM after a comma), sq8 (one byte per dimension), pqM (M bytes per
    vector), binary (one bit per dimension: the signs; scores are the inner product of the signs, d
    - 2 x Hamming distance).
    `rescore`: with N > 0, the N x k best by codes are scored again with the vectors as given, which
    are kept in the caller's arrays, then on disk. A filtered search scores all of up to 50,000
    allowed documents (with PQ, of any number), so it is exact for its codes; of more, FAISS
    searches with a selector, and all are scored where its graph or clusters lead to fewer than k.
    IVF, PQ and SQ8 learn from the first chunk, and keep to that when documents are added and
    deleted. PQ and SQ8 know no Manhattan distance. HNSW is built by several threads, so two builds
    may differ a little.
    """

    family: ClassVar[str] = "faiss"
    gpus = staticmethod(faiss.get_num_gpus)  # that this FAISS can use
    updatable: ClassVar[bool] = True
    ranges: ClassVar[Mapping[str, tuple[float, float]]] = {
        "ef_search": (1, inf), "ef_construction": (1, inf), "nprobe": (1, inf), "rescore": (0, inf),
    }  # fmt: skip

    kind: str = "flat"
    ef_search: int = 128
    ef_construction: int = 100
    nprobe: int = 8
    rescore: int = 0

    def __post_init__(self) -> None:
        self.kind = self.kind.lower().removesuffix(",flat")  # ivf64,flat is ivf64
        if not _KIND.fullmatch(self.kind):
            raise RetrieverError(
                f"Unknown FAISS index {self.kind!r}.", f"Known, with other numbers too: {KINDS}."
            )
        for word, number in re.findall(r"([a-z]+)(\d+)", self.kind):
            least, most = _NUMBERS[word]
            if not least <= int(number) <= most:
                # FAISS itself ends the process, or takes it as it comes.
                raise RetrieverError(
                    f"{word}{number} is no index.",
                    f"The number after {word} is {least} to {most:,}.",
                )
        super().__post_init__()

    @property
    def exact(self) -> bool:
        return self.kind == "flat"

    @property
    def scan_bytes(self) -> float:
        sizes = {"flat": 4.0, "sq8": 1.0, "binary": 1 / 8}
        return 0.0 if self.rescore else sizes.get(self.kind, 0.0)

    @property
    def codes(self) -> Mapping[str, str]:
        return {"int8": "faiss:sq8", "binary": "faiss:binary"} if self.kind == "flat" else {}

    @property
    def _binary(self) -> bool:
        return self.kind == "binary"

    def _clear(self) -> None:
        super()._clear()
        # Of the class that the kind asks for, whose members the stubs of FAISS do not all know.
        self._index: Any = None
        self._on_gpu: Any = None
        self._unlimited: Retriever | None = None
        self._vectors = Vectors()

    def _forget(self) -> None:
        self._on_gpu = self._unlimited = None
        if self._index is not None:
            self._index.reset()  # its memory and the ranges of its codes stay

    def _add(self, vectors: np.ndarray) -> None:
        prepared = self._prepared(vectors)
        if self._index is None:
            index = self._made(vectors.shape[1], len(vectors))
            if not self._binary and len(vectors):
                index.train(prepared)
            self._index, self._dim = index, vectors.shape[1]
        self._index.add(signs(prepared) if self._binary else prepared)
        self._on_gpu = self._unlimited = None
        if self.rescore:
            self._vectors.append(vectors)

    def _keep(self, rows: np.ndarray) -> None:
        self._on_gpu = self._unlimited = None
        if self.kind.startswith("hnsw"):  # FAISS takes nothing out of a graph: it is built anew
            vectors = self._index.reconstruct_n(0, self._index.ntotal)[rows]
            self._index = self._made(self._dim, len(rows))
            self._index.add(vectors)
        else:
            if self.kind.startswith("ivf"):
                self._index.set_direct_map_type(faiss.DirectMap.NoMap)  # type: ignore[attr-defined]  # not in its stubs
            self._index.remove_ids(np.delete(np.arange(self._index.ntotal), rows))
            if self.kind.startswith("ivf"):
                self._renumber(rows)
        if self.rescore:
            self._vectors.keep(rows)

    def _renumber(self, rows: np.ndarray) -> None:
        """Give the vectors in the lists, which keep the numbers they came with, those of rows."""
        lists = self._index.invlists
        for number in range(lists.nlist):
            if size := lists.list_size(number):
                held = faiss.rev_swig_ptr(lists.get_ids(number), size)
                held[:] = np.searchsorted(rows, held)

    def _made(self, dim: int, count: int) -> Any:
        if self._binary:
            if dim % 8:
                raise RetrieverError(
                    f"Binary codes need a dimension that 8 divides, not {dim}.", "Use 'faiss:flat'."
                )
            return faiss.IndexBinaryFlat(dim)
        match = _KIND.fullmatch(self.kind)
        assert match is not None  # as `__post_init__` has checked
        pq, ivf = match["pq"] or match["ivfpq"], match["ivf"]
        if pq and (int(pq) == 0 or dim % int(pq)):
            raise RetrieverError(
                f"pq{pq} needs a dimension that {pq} divides, not {dim}.", "Use another pq number."
            )
        need = max(int(ivf or 0), 256 if pq else 1)
        if count < need:
            raise RetrieverError(
                f"{self.kind} needs {need} vectors in the first chunk to learn from, not {count}.",
                "Use fewer clusters, a larger first chunk, or 'faiss:flat'.",
            )
        name = self.kind.upper().replace("FLAT", "Flat") + (
            ",Flat" if ivf and "," not in self.kind else ""
        )
        # Without polysemous training, which takes minutes and serves a search not offered.
        name += "np" if pq else ""
        if self.metric == "l1" and (pq or "sq" in self.kind):
            raise RetrieverError(
                f"FAISS has no Manhattan distance for {self.kind}.",
                "Use faiss:flat, faiss:hnsw32 or torch.",
            )
        index: Any = faiss.index_factory(
            dim, name, _METRICS.get(self.metric, faiss.METRIC_INNER_PRODUCT)
        )
        if ivf:
            index.nprobe, index.cp.min_points_per_centroid = self.nprobe, 1
        if pq:
            index.pq.cp.min_points_per_centroid = 1
        if self.kind.startswith("hnsw"):
            index.hnsw.efConstruction = self.ef_construction
        return index

    def _search(self, queries: np.ndarray, k: int, rows: np.ndarray | None) -> Hits:
        queries = self._prepared(queries)
        # FAISS searches neither of these two among chosen rows.
        unable = self.kind.startswith("pq") or (self.kind, self.metric) == ("flat", "l1")
        if rows is not None and (unable or len(rows) <= _FILTER_ROWS):
            return self._search_rows(queries, k, rows)
        wanted = min(k * max(self.rescore, 1), len(self.ids if rows is None else rows))
        search = self._search_exact if self.kind == "flat" else self._search_index
        hits = search(queries, wanted, rows)
        hits = self._rescored(queries, hits.rows, k) if self.rescore else hits
        if rows is not None and len(few := np.flatnonzero(hits.rows[:, -1] < 0)):
            hits.rows[few], hits.scores[few] = self._search_rows(queries[few], k, rows)
        return hits

    def _search_index(self, queries: np.ndarray, k: int, only: np.ndarray | None = None) -> Hits:
        on_gpu = only is None and self.kind == "flat" and faiss.get_num_gpus()
        if self._binary:
            codes, how = signs(queries), self._parameters(k, only)
            distances, rows = self._index.search(codes, k, params=how)
            return topk.best(rows, self._dim - 2 * distances.astype(np.float32), k)
        if on_gpu and (k > _GPU_K or self.metric in _METRICS):
            return self._search_beyond(queries, k)
        if only is None and not self.kind.startswith("hnsw"):
            values, rows = self._placed(k).search(queries, k)
        else:
            values, rows = self._index.search(queries, k, params=self._parameters(k, only))
        return topk.best(rows, self._similarities(values), k)

    def _parameters(self, k: int, only: np.ndarray | None) -> Any:
        among = {} if only is None else {"sel": _selector(only, len(self.ids))}
        if self.kind.startswith("hnsw"):
            # The graph is walked over all documents, and so many of them count.
            share = 1.0 if only is None else len(only) / len(self.ids)
            beam = int(max(self.ef_search, k) / share)
            return faiss.SearchParametersHNSW(efSearch=beam, **among)  # type: ignore[attr-defined]  # not in its stubs
        if self.kind.startswith("ivf"):
            return faiss.SearchParametersIVF(nprobe=self.nprobe, **among)  # type: ignore[call-arg]  # as its stubs have it
        return faiss.SearchParameters(**among)

    def _similarities(self, values: np.ndarray) -> np.ndarray:
        """What FAISS gives, squared where it is an L2 distance, as scores."""
        if self.metric == "l2":
            distances: np.ndarray = np.sqrt(np.maximum(values, 0))
            return -distances
        return -values if self.metric == "l1" else values

    def _search_beyond(self, queries: np.ndarray, k: int) -> Hits:
        """Flat search by torch: of more results than FAISS returns on a GPU, and by distances,
        which it takes from float32 products there (see `exact._distances`).
        """
        if self._unlimited is None:
            vectors = self._index.reconstruct_n(0, len(self.ids))
            self._unlimited = make("torch", metric=self.metric if self.metric in _METRICS else "ip")
            self._unlimited.index(self.ids, vectors)
        return self._unlimited.search(queries, k)

    def _search_exact(self, queries: np.ndarray, k: int, only: np.ndarray | None) -> Hits:
        """Flat search whose ties at the cut go to the lower row, which FAISS does not promise."""
        count = len(self.ids if only is None else only)
        hits = self._search_index(queries, min(k + 1, count), only)
        if k == count:
            return hits
        wide, fetch = np.flatnonzero(hits.scores[:, k - 1] == hits.scores[:, k]), k + 1
        hits = Hits(hits.rows[:, :k].copy(), hits.scores[:, :k].copy())
        while len(wide):
            fetch = min(4 * fetch, count)
            more = self._search_index(queries[wide], fetch, only)
            hits.rows[wide], hits.scores[wide] = more.rows[:, :k], more.scores[:, :k]
            if fetch == count:
                break
            wide = wide[more.scores[:, k - 1] == more.scores[:, -1]]
        return hits

    def _search_rows(self, queries: np.ndarray, k: int, rows: np.ndarray) -> Hits:
        best: Hits | None = None
        coded = self._binary and not self.rescore
        for start in range(0, len(rows), _FILTER_ROWS):
            part = rows[start : start + _FILTER_ROWS]
            vectors = self._originals(part) if self.rescore else self._decoded(part)
            scores = topk.similarity(
                np.where(queries > 0, 1, -1).astype(np.float32) if coded else queries,
                vectors,
                "ip" if coded else self.metric,
            )
            hits = topk.top(scores, k, part)
            best = hits if best is None else topk.merge(best, hits, k)
        assert best is not None  # an empty filter is answered by `search`
        return best

    def _rescored(self, queries: np.ndarray, rows: np.ndarray, k: int) -> Hits:
        scores = np.empty(rows.shape, dtype=np.float32)
        for q, candidates in enumerate(rows):
            # Query by query: all candidates' vectors at once could be gigabytes.
            scores[q] = topk.similarity(
                queries[q : q + 1], self._originals(np.maximum(candidates, 0)), self.metric
            )
        return topk.best(rows, scores, k)

    def _originals(self, rows: np.ndarray) -> np.ndarray:
        vectors = self._vectors.take(rows)
        return normalised(vectors) if self.metric == "cosine" else vectors

    def _decoded(self, rows: np.ndarray) -> np.ndarray:
        """What the codes at `rows` stand for."""
        if self._binary:
            codes = faiss.vector_to_array(self._index.xb).reshape(len(self.ids), -1)[rows]
            return np.unpackbits(codes, axis=1).astype(np.float32) * 2 - 1
        if self.kind.startswith("ivf"):
            self._index.make_direct_map()
        vectors: np.ndarray = self._index.reconstruct_batch(rows)
        return vectors

    def _placed(self, k: int) -> Any:
        """The index on the GPUs where FAISS can search it there;
        on the CPU for more results than a GPU returns.
        """
        if not faiss.get_num_gpus() or k > _GPU_K or self.kind.startswith(("sq", "pq")):
            return self._index
        if self._on_gpu is None:
            self._on_gpu = faiss.index_cpu_to_all_gpus(self._index)
        return self._on_gpu

    def memory_bytes(self) -> int:
        """Bytes of the codes, and of the vectors that are kept for rescoring."""
        if self._index is None:
            return 0
        sizes: list[int] = []
        # What it would write, never held.
        counter = faiss.PyCallbackIOWriter(lambda part: sizes.append(len(part)))  # type: ignore[attr-defined]  # not in its stubs
        (faiss.write_index_binary if self._binary else faiss.write_index)(self._index, counter)
        return sum(sizes) + self._vectors.nbytes

    def _write(self, target: Path) -> None:
        write = faiss.write_index_binary if self._binary else faiss.write_index
        write(self._index, str(target / "vectors.faiss"))
        if self.rescore:
            self._vectors.save(target / "originals.npy")

    def _read(self, path: Path) -> None:
        file = str(path / "vectors.faiss")
        try:
            self._index = faiss.read_index_binary(file) if self._binary else faiss.read_index(file)
        except RuntimeError as error:
            raise RetrieverError(
                f"FAISS cannot read {file}: {error}", "Build the index again."
            ) from error
        self._expect(self._index.ntotal, "vectors")
        self._dim = self._index.d
        if self.kind.startswith("ivf"):
            self._index.nprobe = self.nprobe
        if self.rescore:
            self._vectors = Vectors.load(path / "originals.npy")


def _selector(rows: np.ndarray, count: int) -> Any:
    """What lets FAISS find these of `count` rows alone: a bit for each."""
    chosen = np.zeros(count, dtype=bool)
    chosen[rows] = True
    selector: Any = faiss.IDSelectorBitmap  # an array is more than its stubs know of
    return selector(np.packbits(chosen, bitorder="little"))
