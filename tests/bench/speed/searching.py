"""Exact search beside beir's, over the same vectors: cost curves over documents and queries."""

import time

import numpy as np
from measuring import Taken, alternate, best, ratio, table

DIM, K = 384, 100


def curves(*, tiny: bool) -> tuple[str, list[list[str]]]:
    """Documents 1k to 100k at 1,000 queries, queries 100 to 10k at 10k documents.
    The tables, and summary rows.
    """
    documents = (1_000, 2_000) if tiny else (1_000, 10_000, 100_000)
    queries = (10, 100) if tiny else (100, 1_000, 10_000)
    middle, asked = (1_000, 100) if tiny else (10_000, 1_000)
    rows = [_row(number, asked, repeats=1 if tiny else 3) for number in documents]
    columns = [
        "documents",
        "queries",
        "embedlab faiss:flat, s",
        "embedlab torch, s",
        "beir, s",
        "GFLOP/s",
        "x beir",
    ]
    out = table(f"Cost curve: documents ({DIM} dimensions, best {K})", columns, rows)
    last = [
        f"exact search, {rows[-1][0]} documents x {rows[-1][1]} queries",
        f"{rows[-1][-1]} x beir",
    ]
    rows = [_row(middle, number, repeats=1 if tiny else 2) for number in queries]
    return out + "\n" + table("Cost curve: queries", columns, rows), [last]


def _row(documents: int, queries: int, repeats: int) -> list[str]:
    rng = np.random.default_rng(0)
    vectors, asked = (
        _unit(rng.standard_normal((n, DIM), dtype=np.float32)) for n in (documents, queries)
    )
    ids = [f"d{n}" for n in range(documents)]
    systems = {
        "faiss": lambda: _ours("faiss:flat", ids, vectors, asked),
        "torch": lambda: _ours("torch", ids, vectors, asked),
    }
    if _beir_is_here():
        systems["beir"] = lambda: _beir(ids, vectors, asked)
    taken = alternate(systems, repeats)
    ours = min(("faiss", "torch"), key=lambda name: best(taken[name]).seconds)
    flop = 2 * documents * queries * DIM / best(taken[ours]).seconds
    theirs = taken.get("beir")
    return [
        f"{documents:,}",
        f"{queries:,}",
        f"{best(taken['faiss']).seconds:.3f}",
        f"{best(taken['torch']).seconds:.3f}",
        f"{best(theirs).seconds:.3f}" if theirs else "beir is not installed",
        f"{flop / 1e9:,.0f}",
        ratio(theirs, taken[ours]) if theirs else "",
    ]


def _ours(spec: str, ids, vectors, asked) -> Taken:
    """Index and search: what beir's search does in one go."""
    import retrievers

    began = time.perf_counter()
    hits = retrievers.make(spec, metric="cosine").index(ids, vectors).search(asked, K)
    seconds = time.perf_counter() - began
    assert hits.rows.shape == (len(asked), min(K, len(ids)))
    return Taken(seconds, 0.0, 0.0, {})


def _beir(ids, vectors, asked) -> Taken:
    import torch
    from beir.retrieval.search.dense import DenseRetrievalExactSearch

    class Encoded:
        """What beir takes for a model: vectors that are there already, documents in any order."""

        def encode_queries(self, texts, **_):
            return torch.from_numpy(asked)

        def encode_corpus(self, corpus, **_):
            return torch.from_numpy(vectors[[int(document["text"]) for document in corpus]])

    corpus = {name: {"title": "", "text": str(number)} for number, name in enumerate(ids)}
    queries = {f"q{n}": "" for n in range(len(asked))}
    began = time.perf_counter()
    found = DenseRetrievalExactSearch(Encoded(), show_progress_bar=False).search(
        corpus, queries, K, "cos_sim"
    )
    seconds = time.perf_counter() - began
    assert len(found) == len(asked)
    return Taken(seconds, 0.0, 0.0, {})


def _beir_is_here() -> bool:
    from importlib.util import find_spec

    return find_spec("beir") is not None


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
