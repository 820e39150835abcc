import numpy as np
import pytest
from scipy import sparse

import retrievers
from retrievers.index_costs import recall


def test_exact_search_agrees_with_numpy(ids, sparse_vectors):
    documents, queries = sparse_vectors
    scores = (queries.astype(np.float64) @ documents.astype(np.float64).T).toarray()
    hits = retrievers.make("sparse").index(ids, documents).search(queries, 30)
    assert np.abs(-np.sort(-scores, axis=1)[:, :30] - hits.scores).max() < 1e-5
    assert (hits.rows[11] == np.arange(30)).all(), "equal scores stand in the order of rows"


def test_lucene_impacts_rank_as_the_quantised_product_does(ids, sparse_vectors):
    documents, queries = sparse_vectors
    lucene = (
        retrievers.make("lucene:impact,scale=100")
        .add(ids[:200], documents[:200])
        .add(ids[200:], documents[200:])
    )
    exact = retrievers.make("sparse,scale=100").index(ids, documents).search(queries[:11], 50)
    hits = lucene.search(queries[:11], 50)
    found = exact.scores > 0  # Lucene returns no document without a common term
    assert found.sum() > 500
    assert (hits.rows[found] == exact.rows[found]).all()
    assert (hits.scores[found] == exact.scores[found]).all()
    assert (lucene.search(queries[11:], 5).rows == -1).all()


def test_quantisation_costs_little(ids, sparse_vectors):
    documents, queries = sparse_vectors
    exact = retrievers.make("sparse").index(ids, documents).search(queries[:11], 10)
    assert (
        recall(
            retrievers.make("sparse,scale=100").index(ids, documents).search(queries[:11], 10),
            exact,
        )
        > 0.9
    )
    coarse = retrievers.make("sparse,scale=1").index(ids, documents).search(queries[:11], 10)
    assert recall(coarse, exact) < 0.9


def test_seismic_finds_most(ids, sparse_vectors, capfd):
    documents, queries = sparse_vectors
    exact = retrievers.make("sparse").index(ids, documents).search(queries[:11], 10)
    index = (
        retrievers.make("seismic").add(ids[:100], documents[:100]).add(ids[100:], documents[100:])
    )
    assert recall(index.search(queries[:11], 10), exact) > 0.9
    assert (index.search(queries[11:], 10).rows == -1).all()
    assert capfd.readouterr().out == "", "standard output belongs to the caller"


@pytest.mark.parametrize("spec", ["sparse", "seismic", "lucene:impact"])
def test_filters(spec, ids, sparse_vectors):
    documents, queries = sparse_vectors
    only = ids[1:500:9]
    index = retrievers.make(spec).index(ids, documents)
    exact = retrievers.make("sparse").index(ids, documents).search(queries[:11], 8, only=only)
    hits = index.search(queries[:11], 8, only=only)
    assert set(hits.rows.ravel().tolist()) <= {ids.index(name) for name in only} | {-1}
    assert recall(hits, exact) > 0.9


def test_search_in_row_chunks_is_search_at_once(ids, sparse_vectors, monkeypatch):
    documents, queries = sparse_vectors
    once = retrievers.make("sparse").index(ids, documents)
    monkeypatch.setattr("retrievers.indexes.sparse._DOCUMENTS", 64)
    monkeypatch.setattr("retrievers.indexes.sparse._SCORES", 200)
    chunks = retrievers.make("sparse").index(ids, documents)
    for got, wanted in zip(chunks.search(queries, 40), once.search(queries, 40), strict=True):
        assert (got == wanted).all()
    assert (
        chunks.corpus
        == retrievers.make("sparse").add(ids[:9], documents[:9]).add(ids[9:], documents[9:]).corpus
    )


def test_bad_vectors(ids, sparse_vectors):
    documents, queries = sparse_vectors
    index = retrievers.make("sparse").index(ids, documents)
    with pytest.raises(retrievers.RetrieverError, match="vocabulary of 7"):
        index.search(sparse.csr_matrix((1, 7), dtype=np.float32), 1)
    with pytest.raises(retrievers.RetrieverError, match="CSR"):
        index.search(queries.toarray(), 1)
    broken = documents.copy()
    broken.data[50] = np.nan
    row = int(np.searchsorted(broken.indptr, 50, side="right")) - 1
    with pytest.raises(retrievers.RetrieverError, match=f"row {row} holds NaN"):
        index.index(ids, broken)
    with pytest.raises(retrievers.RetrieverError, match="negative"):
        retrievers.make("lucene:impact").index(ids, -documents)


@pytest.mark.parametrize("spec", ["sparse", "lucene:impact,scale=1000", "seismic"])
def test_sparse_vectors_by_cosine(spec, ids, sparse_vectors, tmp_path):
    documents, queries = sparse_vectors
    lengths = [
        np.maximum(np.sqrt(part.multiply(part).sum(axis=1)).A1, 1e-9)
        for part in (documents, queries)
    ]
    scores = (queries @ documents.T).toarray() / lengths[1][:, None] / lengths[0][None]
    index = retrievers.make(spec, metric="cosine").index(ids, documents)
    index.save(tmp_path / "index")
    for each in (index, retrievers.load(tmp_path / "index")):
        hits = each.search(queries, 5)
        for q in range(11):  # the last query has no terms
            found = hits.rows[q][hits.rows[q] >= 0]
            assert len(found) == 5
            np.testing.assert_allclose(hits.scores[q], scores[q, found], atol=2e-3)
            assert hits.scores[q, 0] == pytest.approx(
                scores[q].max(), abs=0.02 if spec == "seismic" else 2e-3
            )


def test_sparse_vectors_know_no_distance():
    with pytest.raises(retrievers.RetrieverError, match="by inner product or cosine, not by 'l2'"):
        retrievers.make("sparse", metric="l2")
