import numpy as np
import pytest

import retrievers
from retrievers import topk
from retrievers.index_costs import recall

EXACT = ("torch", "faiss:flat")
APPROXIMATE = {
    "faiss:hnsw32": 0.95,
    "faiss:HNSW16,efSearch=200": 0.95,
    "faiss:ivf16,nprobe=8": 0.85,
    "faiss:ivf16,sq8,nprobe=16": 0.9,
    "faiss:sq8": 0.9,
    "faiss:pq24": 0.5,
    "faiss:ivf8,pq24,nprobe=8": 0.5,
    "faiss:pq24,rescore=5": 0.95,
    "faiss:binary": 0.2,
    "faiss:binary,rescore=10": 0.7,
    "lucene:hnsw": 0.95,
}


def reference(documents, queries, metric):
    """All scores in float64, by numpy alone."""
    documents, queries = documents.astype(np.float64), queries.astype(np.float64)
    if metric == "cosine":
        documents = documents / np.linalg.norm(documents, axis=1, keepdims=True)
        queries = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    if metric == "l2":
        return -np.sqrt(((queries[:, None] - documents[None]) ** 2).sum(axis=2))
    if metric == "l1":
        return -np.abs(queries[:, None] - documents[None]).sum(axis=2)
    return queries @ documents.T


@pytest.mark.parametrize("metric", ["ip", "cosine", "l2", "l1"])
@pytest.mark.parametrize("spec", EXACT)
def test_exact_search_agrees_with_numpy(spec, metric, ids, vectors):
    documents, queries = vectors
    scores = reference(documents, queries, metric)
    hits = retrievers.make(spec, metric=metric).index(ids, documents).search(queries, 25)
    assert (hits.rows == np.argsort(-scores, axis=1, kind="stable")[:, :25]).all()
    scale = max(1.0, np.abs(scores).max())
    assert np.abs(hits.scores - np.take_along_axis(scores, hits.rows, axis=1)).max() < 1e-5 * scale
    assert hits.rows.dtype == np.int32 and hits.scores.dtype == np.float32


@pytest.mark.parametrize("spec", APPROXIMATE)
@pytest.mark.parametrize("metric", ["ip", "l2"])
def test_approximate_search_finds_most(spec, metric, ids, vectors):
    documents, queries = vectors
    exact = retrievers.make("torch", metric=metric).index(ids, documents).search(queries, 10)
    hits = retrievers.make(spec, metric=metric).index(ids, documents).search(queries, 10)
    assert recall(hits, exact) >= APPROXIMATE[spec]
    assert (np.diff(hits.scores, axis=1) <= 0).all()


@pytest.mark.parametrize(
    "spec", ["faiss:hnsw32", "faiss:ivf16,nprobe=16", "faiss:binary,rescore=60"]
)
def test_the_manhattan_distance_where_faiss_has_it(spec, ids, vectors):
    documents, queries = vectors
    exact = retrievers.make("torch", metric="l1").index(ids, documents).search(queries, 10)
    assert (
        recall(retrievers.make(spec, metric="l1").index(ids, documents).search(queries, 10), exact)
        >= 0.95
    )


@pytest.mark.parametrize("spec", ["faiss:sq8", "faiss:pq24", "faiss:ivf8,sq8", "lucene:hnsw"])
def test_the_manhattan_distance_is_refused_where_there_is_none(spec, ids, vectors):
    with pytest.raises(retrievers.RetrieverError, match="no Manhattan distance") as error:
        retrievers.make(spec, metric="l1").index(ids, vectors[0])
    assert "torch" in error.value.hint


@pytest.mark.parametrize("metric", ["l2", "l1"])
@pytest.mark.parametrize(
    "spec", [*EXACT, "faiss:hnsw32,efSearch=600", "faiss:ivf4,nprobe=4", "lucene:hnsw"]
)
def test_distances_are_right_far_from_the_origin(spec, metric, ids, vectors):
    """Differences of 1 beside coordinates of 1,000:
    from float32 products, 3 of 10 neighbours are the right ones.
    """
    if (spec, metric) == ("lucene:hnsw", "l1"):
        pytest.skip("Lucene has no Manhattan distance")
    documents, queries = (1000 + part for part in vectors)
    scores = reference(documents, queries, metric)
    index = retrievers.make(spec, metric=metric).index(ids, documents)
    for hits, wanted in (
        (index.search(queries, 10), np.argsort(-scores, axis=1)[:, :10]),
        (index.search(queries, 10, only=ids[:300]), np.argsort(-scores[:, :300], axis=1)[:, :10]),
    ):
        found = np.mean(
            [
                len({*a} & {*b}) / 10
                for a, b in zip(hits.rows.tolist(), wanted.tolist(), strict=True)
            ]
        )
        assert found == 1.0 if spec in EXACT else found > 0.9
        np.testing.assert_allclose(
            hits.scores, np.take_along_axis(scores, hits.rows, axis=1), rtol=1e-4
        )


def test_a_vector_is_at_distance_0_from_itself(ids, vectors):
    documents = 1000 + vectors[0]
    for spec in EXACT:
        hits = retrievers.make(spec, metric="l2").index(ids, documents).search(documents, 1)
        assert (
            (hits.rows[:, 0] == np.arange(600)).all()
            and hits.scores.max() < 1e-3
            and hits.scores.min() > -1e-3
        )


def test_rescoring_every_document_is_exact(ids, vectors):
    documents, queries = vectors
    exact = retrievers.make("torch", metric="cosine").index(ids, documents).search(queries, 10)
    hits = (
        retrievers.make("faiss:binary,rescore=60", metric="cosine")
        .index(ids, documents)
        .search(queries, 10)
    )
    assert (hits.rows == exact.rows).all()
    np.testing.assert_allclose(hits.scores, exact.scores, atol=1e-6)


def test_binary_scores_are_the_inner_products_of_signs(ids, vectors):
    documents, queries = vectors
    hits = retrievers.make("faiss:binary").index(ids, documents).search(queries, 600)
    signs = np.where(queries > 0, 1, -1) @ np.where(documents > 0, 1, -1).T
    assert (hits.scores == np.take_along_axis(signs, hits.rows, axis=1)).all()
    assert retrievers.make("faiss:binary").index(ids, documents).memory_bytes() < 600 * 48 / 8 + 100


@pytest.mark.parametrize("together", [0, 20, 120, 10_000])
@pytest.mark.parametrize("chunk", [7, 50, 500])
def test_the_best_of_several_chunks_are_those_of_all(chunk, together, monkeypatch):
    """As a GPU chooses them: of as many chunks at a time as its memory has room for."""
    from retrievers.indexes import exact

    monkeypatch.setattr(exact, "_DOCUMENTS", chunk)
    monkeypatch.setattr(exact, "_columns", lambda device, queries: together)
    rng = np.random.default_rng(0)  # small whole numbers: ties everywhere
    documents, queries = (rng.integers(-2, 3, (n, 4)).astype(np.float32) for n in (500, 40))
    index = retrievers.make("torch", device="cpu").index([f"{n}" for n in range(500)], documents)
    scores = queries @ documents.T
    for rows in (np.arange(500), np.array([3, 4, 77, 120, 300, 301, 302, 499])):
        for k in (1, 5, len(rows) - 1, len(rows)):
            best = rows[np.argsort(-scores[:, rows], axis=1, kind="stable")[:, :k]]
            hits = index.search(queries, k, only=None if len(rows) == 500 else rows)
            assert (hits.rows == best).all()
            assert (hits.scores == np.take_along_axis(scores, best, axis=1)).all()


@pytest.mark.parametrize("spec", EXACT)
def test_ties_go_to_the_lower_row_even_at_the_cut(spec):
    documents = np.zeros((3000, 4), np.float32)
    documents[:, 0] = np.repeat([1, 3, 2], 1000)  # exact in float32, so equal scores are equal
    index = retrievers.make(spec).index([str(i) for i in range(3000)], documents)
    hits = index.search(np.eye(1, 4, dtype=np.float32), 1500)
    assert hits.rows[0].tolist() == [*range(1000, 2000), *range(2000, 2500)]
    assert index.search(np.eye(1, 4, dtype=np.float32), 3).rows[0].tolist() == [1000, 1001, 1002]


@pytest.mark.parametrize(
    "spec", [*EXACT, "faiss:hnsw32", "faiss:sq8", "faiss:binary,rescore=2", "faiss:pq24"]
)
def test_filter_limits_the_search_and_fills_the_answer(spec, ids, vectors):
    documents, queries = vectors
    index = retrievers.make(spec, metric="cosine").index(ids, documents)
    only = ids[400:20:-7]
    hits = index.search(queries, 30, only=only)
    assert {index.ids[row] for row in hits.rows.ravel()} <= set(only)
    assert (hits.rows >= 0).all()
    everything = index.search(queries, 600)
    if spec not in ("faiss:hnsw32", "faiss:binary,rescore=2"):
        place = {row: rank for rank, row in enumerate(everything.rows[0])}
        assert [place[row] for row in hits.rows[0]] == sorted(place[row] for row in hits.rows[0])


@pytest.mark.parametrize("spec", ["torch", "faiss:flat", "lucene:hnsw"])
def test_more_places_than_documents_stay_empty(spec, vectors):
    documents, queries = vectors
    index = retrievers.make(spec).index(["a", "b", "c"], documents[:3])
    hits = index.search(queries, 5)
    assert (np.sort(hits.rows[:, :3], axis=1) == [0, 1, 2]).all()
    assert (hits.rows[:, 3:] == -1).all() and np.isneginf(hits.scores[:, 3:]).all()
    assert len(index.search_one(queries[0], 5)) == 3
    assert (index.search(queries, 2, only=[]).rows == -1).all()


@pytest.mark.parametrize("spec", ["torch", "faiss:flat", "faiss:binary,rescore=3"])
def test_adding_in_chunks_is_indexing_at_once(spec, ids, vectors):
    documents, queries = vectors
    once = retrievers.make(spec, metric="cosine").index(ids[:300], documents[:300])
    chunks = retrievers.make(spec, metric="cosine")
    for start in range(0, 300, 75):
        chunks.add(ids[start : start + 75], documents[start : start + 75])
    for got, wanted in zip(chunks.search(queries, 20), once.search(queries, 20), strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-6)
    assert chunks.corpus == once.corpus
    assert retrievers.make(spec).index(ids[:299], documents[:299]).corpus != once.corpus


def test_single_queries_answer_as_batches(ids, vectors):
    documents, queries = vectors
    index = retrievers.make("torch").index(ids, documents)
    hits = index.search(queries, 5)
    name, score = index.search_one(queries[4], 5)[0]
    assert name == ids[hits.rows[4, 0]] and score == pytest.approx(
        float(hits.scores[4, 0]), rel=1e-6
    )


def test_float16_vectors_are_kept_as_they_are(ids, vectors):
    documents, queries = vectors
    index = retrievers.make("torch").index(ids, documents.astype(np.float16))
    assert index.memory_bytes() == 600 * 48 * 2
    exact = topk.top(queries @ documents.astype(np.float16).astype(np.float32).T, 10)
    assert (index.search(queries, 10).rows == exact.rows).all()


def test_torch_shares_the_callers_memory(ids, vectors):
    documents = vectors[0].copy()
    index = retrievers.make("torch", device="cpu").index(ids, documents)
    assert np.shares_memory(index._chunks[0].numpy(), documents)


@pytest.mark.parametrize("metric", ["ip", "cosine", "l2"])
def test_more_results_than_a_gpu_returns(metric, ids, vectors, monkeypatch):
    """A GPU of FAISS with a limit of 20 results, played by the CPU:
    what lies beyond is merged from chunks of 64.
    """
    from retrievers.indexes import _faiss, exact

    class Limited:
        def __init__(self, index):
            self.index, self.asked = index, []

        def search(self, queries, k):
            self.asked.append(k)
            assert k <= 20
            return self.index.search(queries, k)

    documents, queries = vectors
    documents = np.concatenate([documents[:300], documents[:300]])  # a tie for every place
    wanted = retrievers.make("faiss:flat", metric=metric).index(ids, documents)
    monkeypatch.setattr(_faiss, "_GPU_K", 20)
    monkeypatch.setattr(exact, "_DOCUMENTS", 64)
    monkeypatch.setattr(_faiss.faiss, "get_num_gpus", lambda: 1)
    monkeypatch.setattr(_faiss.faiss, "index_cpu_to_all_gpus", Limited)
    index = retrievers.make("faiss:flat", metric=metric).index(ids, documents)
    expected = {
        k: wanted._index.search(wanted._prepared(queries), k)[0]
        for k in (1, 19, 20, 21, 100, 599, 600)
    }
    for k, values in expected.items():
        hits = index.search(queries, k)
        np.testing.assert_allclose(
            hits.scores, -np.sqrt(values) if metric == "l2" else values, rtol=1e-4, atol=1e-3
        )
        assert (np.sort(hits.rows, axis=1)[:, 1:] > np.sort(hits.rows, axis=1)[:, :-1]).all(), (
            "no row twice"
        )
    assert index._on_gpu is None if metric == "l2" else max(index._on_gpu.asked) == 20
    index.add(["new"], queries[:1] * 3)
    assert index.search(queries[:1], 100).rows[0, 0] == 600 or metric == "l2"


def test_the_size_of_an_index_has_the_vectors_that_it_rescores_with():
    vectors = np.random.default_rng(0).standard_normal((100, 64)).astype(np.float32)
    ids = [str(row) for row in range(100)]
    codes = retrievers.make("faiss:binary").index(ids, vectors).memory_bytes()
    assert (
        retrievers.make("faiss:binary,rescore=4").index(ids, vectors).memory_bytes()
        == codes + vectors.nbytes
    )
