"""Late interaction: exact MaxSim, codes, pooling of tokens, MUVERA, second stages."""

import numpy as np
import pytest

import retrievers
from retrievers import Encoded, Encoder, RetrieverError, index_costs, rerank
from retrievers.indexes.late_base import pooled_tokens
from retrievers.pipelines.late import MaxSim
from retrievers.token_codes import BITS
from retrievers.token_vectors import TokenVectors, maxsim

WIDTH = 37  # no multiple of what fits into a byte


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def tokens():
    """300 documents of 1 to 40 tokens, and 20 queries that are parts of documents, disturbed."""
    rng = np.random.default_rng(0)
    words = rng.standard_normal((120, WIDTH))
    documents = [
        unit(words[rng.integers(0, 120, count)] + 0.3 * rng.standard_normal((count, WIDTH)))
        for count in rng.integers(1, 40, 300)
    ]
    queries = [
        unit(document[:8] + 0.1 * rng.standard_normal(document[:8].shape))
        for document in documents[:20]
    ]
    return documents, queries


@pytest.fixture(scope="module")
def names():
    return [f"d{row}" for row in range(300)]


@pytest.mark.parametrize("mean", [False, True])
def test_exact_scores_are_sentence_transformers_own(tokens, names, mean):
    import torch
    from sentence_transformers.util import maxsim as official

    documents = [*tokens[0][:299], np.empty((0, WIDTH), np.float32)]
    queries = tokens[1]
    wanted = official(
        [torch.from_numpy(query) for query in queries],
        [torch.from_numpy(document) for document in documents],
        length_normalize=mean,
    ).numpy()
    ours = maxsim(TokenVectors.of(queries), TokenVectors.of(documents), mean=mean)
    assert ours[:, :-1] == pytest.approx(wanted[:, :-1], abs=1e-5)
    spec = "maxsim,metric=meanmaxsim" if mean else "maxsim"
    hits = retrievers.make(spec).index(names, documents).search(queries, 300)
    assert hits.scores == pytest.approx(np.take_along_axis(ours, hits.rows, axis=1), abs=1e-5)
    assert (hits.rows[:, -1] == 299).all(), "a document without tokens comes last"


def test_an_index_in_chunks_limited_and_loaded_answers_alike(tokens, names, tmp_path):
    documents, queries = tokens
    whole = retrievers.make("maxsim,bits=8").index(names, documents)
    parts = retrievers.make("maxsim,bits=8")
    for start in range(0, 300, 70):
        parts.add(names[start : start + 70], documents[start : start + 70])
    assert parts.corpus == whole.corpus
    whole.save(tmp_path / "index")
    wanted, few = whole.search(queries, 9), names[3:200:7]
    for index in (parts, retrievers.load(tmp_path / "index")):
        assert (index.search(queries, 9).rows == wanted.rows).all()
        among = index.search(queries, 5, only=few)
        assert {index.ids[row] for row in np.unique(among.rows)} <= set(few)
        expected = whole.search(queries, 300)
        for q in range(len(queries)):
            order = [row for row in expected.rows[q] if whole.ids[row] in few][:5]
            assert among.rows[q].tolist() == order


def test_fewer_bits_take_fewer_bytes_and_lose_more(tokens, names):
    documents, _ = tokens
    vectors, lost, sizes = TokenVectors.of(documents), [], []
    for bits in BITS:
        coded = vectors.coded(bits)
        lost.append(float(np.linalg.norm(coded.floats() - vectors.floats())))
        sizes.append(retrievers.make(f"maxsim,bits={bits}").index(names, documents).memory_bytes())
        assert coded[[5, 2, 3]].floats() == pytest.approx(
            np.concatenate([coded[row] for row in (5, 2, 3)])
        )
    assert lost == sorted(lost) and sizes == sorted(sizes, reverse=True)
    tokens_in_all = len(vectors.codes)
    assert sizes[BITS.index(8)] == tokens_in_all * (WIDTH + 2) + 301 * 8
    assert lost[BITS.index(1)] < 0.65 * np.linalg.norm(vectors.floats())


def test_token_pooling_is_sentence_transformers_own(tokens, names):
    import torch
    from sentence_transformers.multi_vector_encoder.modules import HierarchicalTokenPooling

    documents = tokens[0][:30]
    wanted = HierarchicalTokenPooling(2).pool([torch.from_numpy(each) for each in documents])
    ours = pooled_tokens(TokenVectors.of(documents), 2)
    for row, each in enumerate(wanted):
        assert ours[row] == pytest.approx(each.numpy(), abs=1e-6)
    full, half = (
        retrievers.make(spec).index(names, tokens[0]) for spec in ("maxsim", "maxsim,pool=2")
    )
    assert half.memory_bytes() < 0.6 * full.memory_bytes()


def test_muvera_finds_most_of_the_exact_answer(tokens, names, tmp_path):
    documents, queries = tokens
    exact = retrievers.make("maxsim").index(names, documents).search(queries, 5)
    for kind in ("faiss:flat", "faiss:sq8", "faiss:hnsw32"):
        index = retrievers.make(f"muvera:{kind},candidates=40").index(names, documents)
        hits = index.search(queries, 5)
        assert (hits.rows[:, 0] == np.arange(20)).mean() >= 0.95, kind
        assert index_costs.recall(hits, exact) > 0.7, kind
        index.save(tmp_path / kind.partition(":")[2])
        again = retrievers.load(tmp_path / kind.partition(":")[2]).search(queries, 5)
        assert (again.rows == hits.rows).all()
    everything = index.search(queries, 300)
    assert (everything.rows[:, :5] == exact.rows).all(), "all are candidates then"


@pytest.fixture(scope="module")
def late(tiny_folder):
    from sentence_transformers import MultiVectorEncoder, SentenceTransformer
    from sentence_transformers.base.modules import Normalize
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

    transformer = SentenceTransformer(str(tiny_folder), device="cpu")[0]
    normalise = Normalize(module_input_name="token_embeddings")
    return MultiVectorEncoder(modules=[transformer, MultiVectorMask(), normalise], device="cpu")


class Counting:
    """A multi-vector encoder that counts the documents that it encodes."""

    def __init__(self, model):
        self.model, self.encoded = model, 0

    def encode_query(self, texts, **how):
        return self.model.encode_query(texts, **how)

    def encode_document(self, texts, **how):
        self.encoded += len(texts)
        return self.model.encode_document(texts, **how)


def test_no_candidate_is_encoded_twice(ids, texts, late):
    first, model = retrievers.make("lucene").index(ids, texts), Counting(late)
    chain = first >> rerank(model, depth=20)
    queries = ["w3 w5 w9", "w3 w5 w8"]
    hits = chain.search(queries, 20)
    found = np.unique(hits.rows[hits.rows >= 0])
    assert model.encoded == len({first.text(int(row)) for row in found})
    wanted = late.similarity(
        late.encode_query(queries[:1]),
        late.encode_document([first.text(int(row)) for row in hits.rows[0]]),
    ).numpy()
    assert hits.scores[:1] == pytest.approx(wanted, abs=1e-5)
    before = model.encoded
    chain.search(queries, 20)
    assert model.encoded == before
    small = MaxSim(Counting(late), keep=1)  # holds nothing beyond one call
    small.score_lists(["w1"], [["w1 w2"]])
    assert not small._known and small._bytes == 0


def test_a_stage_that_holds_the_documents_tokens_is_saved_with_them(ids, texts, late, tmp_path):
    model = Counting(late)
    encoder = Encoder(model, "late@1", "late")
    chain = retrievers.make("lucene") >> rerank(Encoded(encoder, "maxsim,bits=16"), 20)
    chain.index(ids, texts)
    assert model.encoded == 600
    hits = chain.search(["w3 w5", "w9"], 5)
    chain.save(tmp_path / "index")
    loaded = retrievers.load(tmp_path / "index", lambda name: encoder)
    again = loaded.search(["w3 w5", "w9"], 5)
    assert model.encoded == 600, "no document goes through the model at search"
    assert (again.rows == hits.rows).all() and again.scores == pytest.approx(hits.scores)
    plain = retrievers.make("lucene").index(ids, texts) >> rerank(late, 20)
    assert plain.search(["w3 w5", "w9"], 5).scores == pytest.approx(hits.scores, abs=2e-3)


def test_frameworks_and_fusions_take_it(ids, texts, late):
    found = Encoded(Encoder(late, "late@1"), "maxsim,bits=16").index(ids, texts)
    wanted = [document.id for document in found.retrieve("w3 w5", 3)]
    langchain = pytest.importorskip("retrievers.integrations.langchain").LangChainRetriever
    assert [each.id for each in langchain(found, k=3).invoke("w3 w5")] == wanted
    llama = pytest.importorskip("retrievers.integrations.llama_index").LlamaIndexRetriever
    assert [each.node.node_id for each in llama(found, k=3).retrieve("w3 w5")] == wanted
    haystack = pytest.importorskip("retrievers.integrations.haystack").HaystackRetriever
    answer = haystack(found, top_k=3).run(query="w3 w5")["documents"]
    assert [each.id for each in answer] == wanted
    both = retrievers.rrf(retrievers.make("lucene").index(ids, texts), found)
    assert len(both.retrieve("w3 w5", 3)) == 3


@pytest.mark.parametrize(
    ("spec", "documents", "words"),
    [
        ("maxsim,bits=7", None, "32, 16, 8"),
        ("maxsim,metric=cosine", None, "maxsim, meanmaxsim"),
        ("maxsim,pool=0.5", None, "1 or more"),
        ("muvera:lucene", None, "muvera:faiss:flat"),
        ("maxsim", np.ones((1, 3), np.float32), "for each text"),
        ("maxsim", ["text"], "for each text"),
        ("maxsim", [np.full((2, 3), np.nan)], "float32"),
        ("maxsim", [np.ones((2, 3)), np.ones((2, 4))], "for each text"),
    ],
)
def test_bad_input(spec, documents, words):
    with pytest.raises(RetrieverError) as error:
        retrievers.make(spec).index([f"d{row}" for row in range(len(documents))], documents)
    assert words in error.value.hint


def test_an_index_of_another_kind_is_refused(late):
    with pytest.raises(RetrieverError, match="takes dense vectors, and the model gives token"):
        Encoded(Encoder(late, "late@1"), "torch")
