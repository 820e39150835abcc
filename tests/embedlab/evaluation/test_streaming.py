"""A corpus too large to hold is searched block by block in the order of the store:
every ranking is that of the index over all of it.
"""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from embedlab.encoding.vectors import shards
from embedlab.encoding.vectors.keys import text_keys
from embedlab.encoding.vectors.vector_store import Space
from retrievers.indexes.base_index import make_index
from retrievers.indexes.chunked import search_stream
from retrievers.token_vectors import TokenVectors

TEXTS = 2_000


def whole_numbers(shape, seed=0, most=3):
    """Vectors whose products are exact in float32, and often the same."""
    return np.random.default_rng(seed).integers(-most, most, shape).astype(np.float32)


@pytest.fixture
def stored(tmp_path):
    """Fill a store with vectors of texts 0, 1, 2 ... in shards of mixed order; a list of documents
    in which texts come twice or never.
    """

    def fill(vectors):
        space, rng = Space({"model": "made up"}, tmp_path), np.random.default_rng(1)
        names = np.array([f"text {number}" for number in range(TEXTS)])
        for part in np.array_split(rng.permutation(TEXTS), 9):
            space.add(text_keys("", names[part]), np.ones(len(part)), vectors[part], 0.0)
        chosen = np.concatenate([rng.permutation(TEXTS)[:1500], rng.integers(0, TEXTS, 500)])
        return Space({"model": "made up"}, tmp_path).vectors(text_keys("", names[chosen]))

    return fill


def answers(spec, found, queries, k=25, metric="ip"):
    """Of one index over all documents, and block by block."""
    whole, passing = make_index(spec, metric=metric), make_index(spec, metric=metric)
    names = [str(row) for row in range(len(found))]
    for start in range(0, len(found), 512):
        whole.add(names[start : start + 512], found.read(start, start + 512))
    if not passing.exact:
        passing.learn(found.read(0, 512))
    return whole.search(queries, k), search_stream(passing, found.blocks(300), queries, k)


DENSE = [
    ("faiss:flat", "ip"),
    ("faiss:flat", "cosine"),
    ("faiss:flat", "l2"),
    ("torch", "ip"),
    ("torch", "l1"),
    ("faiss:binary", "ip"),
]


@pytest.mark.parametrize(("spec", "metric"), DENSE)
def test_dense_rankings_are_those_of_one_index(stored, spec, metric):
    found, queries = stored(whole_numbers((TEXTS, 16))), whole_numbers((20, 16), seed=2)
    whole, passed = answers(spec, found, queries, metric=metric)
    np.testing.assert_array_equal(passed.scores, whole.scores)
    np.testing.assert_array_equal(passed.rows, whole.rows)
    # What decides is often a tie, also at the cut.
    assert (np.diff(whole.scores, axis=1) == 0).any(axis=1).all()


def test_codes_that_are_learned_are_those_of_one_index(stored):
    """FAISS leaves open which of several equal codes stand at the cut."""
    found, queries = stored(whole_numbers((TEXTS, 16))), whole_numbers((20, 16), seed=2)
    whole, passed = answers("faiss:sq8", found, queries)
    np.testing.assert_array_equal(passed.scores, whole.scores)
    sure = whole.scores > whole.scores[:, -1:]
    assert sure.mean() > 0.5
    np.testing.assert_array_equal(passed.rows[sure], whole.rows[sure])


@pytest.mark.parametrize("spec", ["sparse", "sparse,scale=2"])
def test_sparse_rankings_are_those_of_one_index(stored, spec):
    found = stored(csr_matrix(np.abs(whole_numbers((TEXTS, 16), most=2))))
    whole, passed = answers(spec, found, csr_matrix(np.abs(whole_numbers((20, 16), seed=2))))
    np.testing.assert_array_equal(passed.scores, whole.scores)
    np.testing.assert_array_equal(passed.rows, whole.rows)


@pytest.mark.parametrize("spec", ["maxsim", "maxsim,bits=8"])
def test_late_rankings_are_those_of_one_index(stored, spec):
    def tokens(texts, seed):
        lengths = np.random.default_rng(seed).integers(0, 5, texts)
        return TokenVectors(whole_numbers((lengths.sum(), 8), seed), np.cumsum([0, *lengths]))

    whole, passed = answers(spec, stored(tokens(TEXTS, 1)), tokens(20, 2), metric="maxsim")
    np.testing.assert_array_equal(passed.scores, whole.scores)
    np.testing.assert_array_equal(passed.rows, whole.rows)


def test_a_pass_opens_each_file_once(stored, monkeypatch):
    found, opened = stored(whole_numbers((TEXTS, 16))), []
    read = shards.read
    monkeypatch.setattr(shards, "read", lambda *which: opened.append(which[1:]) or read(*which))
    blocks = list(found.blocks(300))
    files = [(shard.name, part) for shard, part in opened if part == "dense"]
    assert len(set(files)) == 9
    assert len(files) == 10  # the width is read of the first one
    rows = np.concatenate([rows for rows, _ in blocks])
    assert np.array_equal(np.sort(rows), np.arange(len(found)))
    assert all((np.diff(rows) > 0).all() for rows, _ in blocks)
    for rows, vectors in blocks:
        np.testing.assert_array_equal(vectors, found.read()[rows])
