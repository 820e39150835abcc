"""Exact search as `--index torch` does it: 10 million vectors of 1,024 dimensions, or as many as
the memory holds.
"""

import time

import numpy as np
import torch

import retrievers
from tests.bench.gpu.figures import Figures
from tests.bench.gpu.machine import matrix_rates, memory_rate, timed
from tests.bench.gpu.worker import Place

DOCUMENTS, DIM, K = 10_000_000, 1_024, 100
BLOCK = 50_000


def run(figures: Figures, place: Place) -> None:
    memory = memory_rate(place.device, place.tiny)
    products, _ = matrix_rates(place.device, torch.float32, place.tiny)
    for dtype in (torch.float16, torch.float32):
        began = time.perf_counter()
        index = filled(place, dtype)
        documents = len(index.ids)
        kind = str(dtype).removeprefix("torch.")
        label = f"{documents:,} x {DIM:,}, {kind}"
        figures.add(f"{label}, made on the device", time.perf_counter() - began, "s",
                    GB=index.memory_bytes() / 1e9)  # fmt: skip
        for queries in (1, 32, 1_000):
            asked = np.random.default_rng(0).standard_normal((queries, DIM), dtype=np.float32)
            seconds, _ = timed(
                lambda index=index, asked=asked: index.search(asked, K), place.device,
                place.seconds(0.5),
            )  # fmt: skip
            bound = max(index.memory_bytes() / memory, 2.0 * documents * DIM * queries / products)
            figures.add(
                f"{label}, {queries:,} queries", seconds * 1e3, "ms",
                share_of_bound=bound / seconds,
                share_of_bandwidth=index.memory_bytes() / memory / seconds,
                queries_per_second=queries / seconds,
            )  # fmt: skip
        _check(figures, label, index)
        if dtype == torch.float16:
            _halves(figures, place, label, index)
        index.clear()
        if place.device != "cpu":
            torch.cuda.empty_cache()


def filled(place: Place, dtype: torch.dtype) -> "retrievers.Retriever":
    """An index over normal numbers that were made where they are searched: through the host, 40 GB
    would take minutes. Only the first block goes through `index`.
    """
    documents = DOCUMENTS
    if place.tiny:
        documents = 3 * BLOCK // 50
    elif place.device != "cpu":
        free, _ = torch.cuda.mem_get_info()
        documents = int(min(documents, 0.85 * free / (DIM * dtype.itemsize)) // BLOCK * BLOCK)
    block = min(BLOCK, documents // 3)
    torch.manual_seed(0)
    first = torch.randn(block, DIM, device=place.device).to(dtype)
    index = retrievers.make("torch", device=place.device)
    index.index([f"d{n}" for n in range(block)], first.cpu().numpy())
    while (made := len(index.ids)) < documents:
        index._chunks.append(torch.randn(block, DIM, device=place.device).to(dtype))
        index.ids.extend(f"d{n}" for n in range(made, made + block))
    return index


def _check(figures: Figures, label: str, index: "retrievers.Retriever") -> None:
    """A document is its own best: the right rows are found, in the last chunk too."""
    last = index._chunks[-1]
    rows = [0, len(index.ids) - 1]
    asked = torch.stack([index._chunks[0][0], last[-1]]).float().cpu().numpy()
    hits = index.search(asked, 10)
    figures.add(f"{label}, finds what it holds", bool((hits.rows[:, 0] == rows).all()))


def _halves(
    figures: Figures, place: Place, label: str, index: "retrievers.indexes.exact.TorchIndex"
) -> None:
    """What products of float16 alone would take, which embedlab does not use: a float32 query as
    the sum of two float16 numbers, the scores in float32. No best documents are chosen.
    """

    def product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        if place.device == "cpu":
            return left.float() @ right.float()
        return torch.mm(left, right, out_dtype=torch.float32)

    def products(halves: torch.Tensor) -> None:
        for chunk in index._chunks:
            product(halves, chunk.T)

    for queries in (1, 32, 1_000):
        asked = torch.randn(queries, DIM, device=place.device)
        high = asked.half()
        halves = torch.cat([high, (asked - high.float()).half()])
        seconds, _ = timed(lambda halves=halves: products(halves), place.device, place.seconds(0.3))
        found = product(halves, index._chunks[0].T)
        exact = asked.double() @ index._chunks[0].double().T
        figures.add(
            f"{label}, {queries:,} queries, products of two halves alone",
            seconds * 1e3,
            "ms",
            share_of_bandwidth=index.memory_bytes()
            / memory_rate(place.device, place.tiny)
            / seconds,
            most_error=float((found[:queries] + found[queries:] - exact).abs().max()),
        )
