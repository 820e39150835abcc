import numpy as np
import pytest

import retrievers
from retrievers import Encoded, Encoder, RetrieverError, registry
from retrievers.index_costs import measure, recall

DOCUMENTS = [f"the cell w{n} of w{(n * 7) % 200} gene" for n in range(300)]
IDS = [f"d{n}" for n in range(300)]
QUERIES = ["a gene w3 w21", "cell w50"]


@pytest.fixture(scope="module")
def dense(tiny_folder):
    from sentence_transformers import SentenceTransformer

    return Encoder(SentenceTransformer(str(tiny_folder), device="cpu"), "tiny@1", "tiny")


@pytest.fixture(scope="module")
def sparse_encoder(tiny_folder, tmp_path_factory):
    import torch
    from sentence_transformers import SparseEncoder
    from sentence_transformers.sparse_encoder.modules import MLMTransformer, SpladePooling
    from transformers import AutoTokenizer, BertConfig, BertForMaskedLM

    torch.manual_seed(2)
    folder = tmp_path_factory.mktemp("splade")
    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    sizes = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
    }
    config = BertConfig(
        vocab_size=len(tokenizer), max_position_embeddings=64, initializer_range=0.3, **sizes
    )
    BertForMaskedLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Encoder(
        SparseEncoder(modules=[MLMTransformer(str(folder)), SpladePooling("max")], device="cpu"),
        "splade@1",
    )


@pytest.mark.parametrize("spec", ["torch", "faiss:flat"])
def test_dense_ranking_is_the_models_own_similarity(spec, dense):
    wanted = dense.model.similarity(
        dense.model.encode_query(QUERIES), dense.model.encode_document(DOCUMENTS)
    ).numpy()
    hits = Encoded(dense, spec, batch=64).index(IDS, DOCUMENTS).search(QUERIES, 300)
    np.testing.assert_allclose(
        hits.scores, np.take_along_axis(wanted, hits.rows.astype(int), axis=1), atol=1e-5
    )
    assert (np.diff(hits.scores, axis=1) <= 0).all()


def test_a_sparse_model_ranks_the_same_in_process_and_in_lucene(sparse_encoder):
    exact = Encoded(sparse_encoder, "sparse,scale=100").index(IDS, DOCUMENTS).search(QUERIES, 20)
    lucene = (
        Encoded(sparse_encoder, "lucene:impact,scale=100").index(IDS, DOCUMENTS).search(QUERIES, 20)
    )
    assert (exact.rows == lucene.rows).all() and (exact.scores == lucene.scores).all()
    model = sparse_encoder.model
    wanted = model.similarity(model.encode_query(QUERIES), model.encode_document(DOCUMENTS))
    hits = Encoded(sparse_encoder, "sparse").index(IDS, DOCUMENTS).search(QUERIES, 20)
    top = -np.sort(-np.asarray(wanted.to_dense() if wanted.is_sparse else wanted), axis=1)[:, :20]
    np.testing.assert_allclose(hits.scores, top, rtol=1e-4)


def test_query_terms(dense, sparse_encoder):
    terms = Encoded(sparse_encoder, "sparse").query_terms(QUERIES[0])
    weights = [weight for _, weight in terms]
    assert weights == sorted(weights, reverse=True) and all(
        isinstance(word, str) for word, _ in terms
    )
    assert Encoded(dense, "torch").query_terms(QUERIES[0]) == []


def test_an_index_comes_back_with_its_encoder_and_prompts(tmp_path, dense, monkeypatch):
    prompted = Encoder(dense.model, dense.id, dense.name, {"prompt": "q : "}, {"prompt": "of "})
    index = Encoded(prompted, "faiss:hnsw32").index(IDS, DOCUMENTS)
    assert (
        index.search(QUERIES, 5).scores
        != Encoded(dense).index(IDS, DOCUMENTS).search(QUERIES, 5).scores
    ).any()
    index.save(tmp_path / "index")
    asked = []
    loaded = retrievers.load(tmp_path / "index", lambda name: asked.append(name) or dense)
    assert asked == ["tiny"] and loaded.encoder.query == {"prompt": "q : "}
    assert (loaded.search(QUERIES, 5).scores == index.search(QUERIES, 5).scores).all()
    assert loaded.text(17) == DOCUMENTS[17] and loaded.ids == IDS
    other = Encoder(dense.model, "tiny@2", "tiny")
    monkeypatch.setattr(registry, "_installed_finder", lambda: None)
    for wrong, words in [
        (None, "needs its encoder, tiny"),
        (other, "not 'tiny@2'"),
        ("tiny@2", "not 'tiny@2'"),
    ]:
        with pytest.raises(RetrieverError, match=words):
            retrievers.load(tmp_path / "index", wrong)


def test_a_model_and_an_index_that_do_not_fit(dense, sparse_encoder):
    with pytest.raises(RetrieverError, match="sparse vectors"):
        Encoded(sparse_encoder, "faiss:flat").index(IDS, DOCUMENTS)
    with pytest.raises(RetrieverError, match="Expected sparse vectors"):
        Encoded(dense, "sparse").index(IDS, DOCUMENTS)
    with pytest.raises(RetrieverError, match="ranks texts"):
        Encoded(dense, "lucene")
    with pytest.raises(RetrieverError, match="row 1 is a int"):
        Encoded(dense, "torch").index(["a", "b"], ["text", 3])


def test_hybrid_of_text_retrievers_survives_saving(tmp_path, dense):
    both = retrievers.rrf(retrievers.make("lucene"), Encoded(dense, "faiss:flat")).index(
        IDS, DOCUMENTS
    )
    both.save(tmp_path / "both")
    loaded = retrievers.load(tmp_path / "both", dense)
    assert (loaded.search(QUERIES, 10).rows == both.search(QUERIES, 10).rows).all()


def test_costs_are_measured(dense):
    exact = Encoded(dense, "torch").index(IDS, DOCUMENTS).search(QUERIES * 5, 10)
    costs = measure(Encoded(dense, "faiss:binary"), IDS, DOCUMENTS, QUERIES * 5, 10, exact=exact)
    assert 0 < costs["latency_p50_ms"] <= costs["latency_p95_ms"] <= costs["latency_p99_ms"]
    assert costs["memory_bytes"] < 300 * 32 / 8 + 100 < 300 * 32 * 4
    assert costs["disk_bytes"] > costs["memory_bytes"]
    assert costs["build_seconds"] > 0 and costs["queries_per_second"] > 0
    assert 0 < costs["recall_at_k"] < 1
    assert recall(Encoded(dense, "torch").index(IDS, DOCUMENTS).search(QUERIES * 5, 10), exact) == 1
