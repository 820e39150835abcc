"""Shares of what the GPU can do: a decoder of 7B shape while encoding,
and exact search of a million vectors.
"""

import copy
import time

import numpy as np
import pytest
import torch

import retrievers

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(1200)]


def matrix_rate(dtype: torch.dtype) -> float:
    """FLOP/s of a large square product, best of ten."""
    size = 8192
    left, right = (torch.randn(size, size, device="cuda", dtype=dtype) for _ in range(2))
    return 2 * size**3 / best_of(10, lambda: left @ right)


def memory_rate() -> float:
    """Bytes per second of reading a large array, best of ten."""
    array = torch.zeros(1 << 30, device="cuda", dtype=torch.float32)
    return array.nbytes / best_of(10, array.sum)


def best_of(times: int, call) -> float:
    taken = []
    for _ in range(times + 1):  # the first one warms up
        torch.cuda.synchronize()
        began = time.perf_counter()
        call()
        torch.cuda.synchronize()
        taken.append(time.perf_counter() - began)
    return min(taken[1:])


def test_a_7b_decoder_reaches_half_of_the_matrix_peak(
    tmp_path, word_tokenizer, monkeypatch, capsys
):
    import transformers as tf
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

    from embedlab.encoding.encoder import Encoder
    from embedlab.models import LoadedModel
    from embedlab.models.cards import Card

    shape = {"vocab_size": len(word_tokenizer), "hidden_size": 4096, "intermediate_size": 14336,
             "num_attention_heads": 32, "num_key_value_heads": 8}  # fmt: skip
    tokenizer = copy.deepcopy(word_tokenizer)
    tokenizer.model_max_length = 512
    tokenizer.save_pretrained(tmp_path / "model")
    tf.MistralModel(tf.MistralConfig(num_hidden_layers=1, **shape)).to(
        torch.bfloat16
    ).save_pretrained(tmp_path / "model")
    transformer = Transformer(
        str(tmp_path / "model"), max_seq_length=512, model_kwargs={"dtype": torch.bfloat16}
    )
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device("cuda"):
            transformer.model = tf.MistralModel(tf.MistralConfig(num_hidden_layers=32, **shape))
    finally:
        torch.set_default_dtype(torch.float32)
    model = SentenceTransformer(
        modules=[transformer, Pooling(4096, "lasttoken"), Normalize()], device="cuda"
    ).eval()
    loaded = LoadedModel(Card("7b", "test", dim=4096), lambda: model, "1", "cuda:0", "bfloat16")
    texts = [" ".join(f"w{(3 * n + k) % 200}" for k in range(510)) for n in range(512)]
    encoder, taken = Encoder(loaded), []
    for attempt in range(3):
        monkeypatch.setenv("EMBEDLAB_HOME", str(tmp_path / str(attempt)))
        taken.append(encoder.encode(texts, role="document")[1].seconds)
    # Causal: half.
    per_token = (
        2 * 32 * (2 * 4096 * 4096 + 2 * 4096 * 1024 + 3 * 4096 * 14336) + 2 * 32 * 4096 * 512
    )
    rate, peak = len(texts) * 512 * per_token / min(taken), matrix_rate(torch.bfloat16)
    with capsys.disabled():
        print(
            f"\n7B decoder, 512 tokens: {len(texts) * 512 / min(taken):,.0f} tokens/s,"
            f" {rate / 1e12:.0f} TFLOP/s, {rate / peak:.0%} of the measured {peak / 1e12:.0f}"
        )
    assert rate >= 0.5 * peak


@pytest.mark.parametrize("spec", ["torch", "faiss:flat"])
def test_exact_search_of_a_million_vectors(spec, capsys):
    if spec.startswith("faiss"):
        faiss = pytest.importorskip("faiss", reason="needs the extra gpu")
        if not faiss.get_num_gpus():
            pytest.skip("this FAISS has no GPU")
    documents, dim, queries = 1_000_000, 1_024, 1_000
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((documents, dim), dtype=np.float32)
    asked = rng.standard_normal((queries, dim), dtype=np.float32)
    index = retrievers.make(spec).index([str(n) for n in range(documents)], vectors)
    seconds = best_of(5, lambda: index.search(asked, 100))
    arithmetic = 2 * documents * dim * queries / matrix_rate(torch.float32)
    memory = 4 * documents * dim / memory_rate()
    bound = max(arithmetic, memory)
    with capsys.disabled():
        print(
            f"\n{spec}, 1M x 1024, {queries:,} queries: {seconds:.3f} s, "
            f"{bound / seconds:.0%} of what the bound of {bound:.3f} s allows"
        )
    assert bound / seconds >= 0.6
