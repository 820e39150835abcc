"""Shares of what the GPU can do, by the kit of `make bench-gpu`: a decoder of 7B shape while
encoding, and exact search of a million vectors.
"""

import numpy as np
import pytest
import torch

import retrievers
from embedlab.encoding.encoder import Encoder
from tests.bench.gpu import encode, search
from tests.bench.gpu.figures import Figures
from tests.bench.gpu.machine import matrix_rates, memory_rate, timed
from tests.bench.gpu.models import build
from tests.bench.gpu.worker import Place

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(1200)]


@pytest.fixture
def place(tmp_path, home):
    return Place("cuda:0", False, tmp_path, tmp_path)


def test_a_7b_decoder_reaches_its_share_of_the_matrix_peak(place, capsys):
    name = "7B decoder"
    encoder = Encoder(build(name, place.device, torch.bfloat16, place.scratch, tiny=False))
    encode.warm_up(encoder)
    figures = Figures(place.out, "encode")
    with capsys.disabled():
        for length in (512, 64):
            encode.encoding(figures, place, f"{name}, {length} tokens", encoder, name, length)
    long, short = (row["share_of_peak"] for row in figures.rows)
    assert long >= 0.5 and short >= 0.35


@pytest.mark.parametrize("spec", ["torch", "faiss:flat"])
def test_exact_search_of_a_million_vectors(spec, place, monkeypatch, capsys):
    documents, queries = 1_000_000, 1_000
    monkeypatch.setattr(search, "DOCUMENTS", documents)
    index = search.filled(place, torch.float32)
    if spec.startswith("faiss"):
        faiss = pytest.importorskip("faiss", reason="needs the extra gpu")
        if not faiss.get_num_gpus():
            pytest.skip("this FAISS has no GPU")
        vectors = torch.cat(index._chunks).cpu().numpy()
        index = retrievers.make(spec).index(index.ids, vectors)
    asked = np.random.default_rng(0).standard_normal((queries, search.DIM), dtype=np.float32)
    seconds, _ = timed(lambda: index.search(asked, 100), place.device, 3)
    arithmetic = 2 * documents * search.DIM * queries / matrix_rates(place.device, torch.float32)[0]
    bound = max(arithmetic, 4 * documents * search.DIM / memory_rate(place.device))
    with capsys.disabled():
        print(
            f"\n{spec}, 1M x 1024, {queries:,} queries: {seconds:.3f} s, "
            f"{bound / seconds:.0%} of what the bound of {bound:.3f} s allows"
        )
    assert bound / seconds >= 0.6
