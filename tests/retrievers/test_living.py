"""Documents added, replaced and deleted: the index answers as one built of what is there now."""

from collections.abc import Iterator

import numpy as np
import pytest
from scipy import sparse

import retrievers
from retrievers import Encoded, Encoder, RetrieverError, rerank, rrf

COUNT = 150
QUERIES = 6
# Of approximate kinds, those that look at everything with these settings.
SAME = (
    "torch", "torch,metric=l2", "faiss:flat", "faiss:hnsw8,efSearch=150", "faiss:ivf4,nprobe=4",
    "faiss:binary", "faiss:binary,rescore=3", "sparse", "sparse,scale=100", "seismic", "lucene",
    "lucene:multifield,language=fr", "lucene:impact", "lucene:hnsw,efSearch=150", "maxsim",
    "maxsim,bits=4", "muvera:faiss:flat,candidates=20", "muvera:faiss:hnsw8",
)  # fmt: skip
LEARNED = ("faiss:sq8", "faiss:pq4", "faiss:ivf4,sq8,nprobe=4", "muvera:faiss:sq8,candidates=20")


class Corpus:
    """What is indexed now, kept by hand: documents by id, in the order of the rows."""

    def __init__(self, content, seed):
        self.content, self.random = content, np.random.default_rng(seed)
        self.numbers = {f"d{number}": number for number in range(COUNT // 2)}
        self.further: Iterator[str] = (f"n{number}" for number in range(1000))

    def documents(self, ids):
        numbers = [self.numbers[id] for id in ids]
        return self.content[numbers] if hasattr(self.content, "shape") else [
            self.content[number] for number in numbers
        ]  # fmt: skip

    def built(self, spec):
        return retrievers.make(spec).index(list(self.numbers), self.documents(self.numbers))

    def change(self, index):
        """One change that is drawn at random, of the index and of what it should hold."""
        some = self.random.choice(list(self.numbers), 9, replace=False).tolist()
        which, new = self.random.integers(3), [next(self.further) for _ in range(7)]
        if which == 0:
            for id in some:
                del self.numbers[id]
            return index.delete(some)
        written = new if which == 1 else [*some, *new]
        for id in written:  # those that are replaced move to the end
            self.numbers.pop(id, None)
            # No text twice, whose scores would be equal but for the last bit.
            free = sorted({*range(COUNT)}.difference(self.numbers.values()))
            self.numbers[id] = int(self.random.choice(free))
        change = index.add if which == 1 else index.replace
        return change(written, self.documents(written))


@pytest.fixture(scope="module")
def content():
    """By what a kind of index takes: 150 documents, and 6 queries."""
    rng = np.random.default_rng(5)
    words = [f"w{number}" for number in range(60)]
    texts = [" ".join(rng.choice(words, rng.integers(2, 12))) for _ in range(COUNT)]
    documents = [{"title": text.split()[0], "text": text, "year": n} for n, text in
                 enumerate(texts)]  # fmt: skip
    dense = rng.normal(size=(COUNT + QUERIES, 16)).astype(np.float32)
    weights = sparse.random(
        COUNT + QUERIES, 80, 0.1, random_state=1, format="csr", dtype=np.float32
    )
    tokens = [rng.normal(size=(rng.integers(1, 9), 8)).astype(np.float32)
              for _ in range(COUNT + QUERIES)]  # fmt: skip
    return {
        "text": (documents, [" ".join(rng.choice(words, 3)) for _ in range(QUERIES)]),
        "dense": (dense[:COUNT], dense[COUNT:]),
        "sparse": (sparse.csr_matrix(weights[:COUNT]), sparse.csr_matrix(weights[COUNT:])),
        "multi-vector": (tokens[:COUNT], tokens[COUNT:]),
    }


def assert_same(index, wanted, queries, **tolerance):
    assert list(index.ids) == list(wanted.ids)
    for only in (None, list(wanted.ids)[::3]):
        for k in (5, len(wanted.ids)):
            got, expected = (each.search(queries, k, only=only) for each in (index, wanted))
            if tolerance:
                np.testing.assert_allclose(got.scores, expected.scores, **tolerance)
            else:
                np.testing.assert_array_equal(got.rows, expected.rows)
                np.testing.assert_array_equal(got.scores, expected.scores)


@pytest.mark.parametrize("spec", SAME)
def test_a_changed_index_answers_as_one_built_anew(spec, content, tmp_path):
    documents, queries = content[retrievers.make(spec).takes]
    corpus = Corpus(documents, SAME.index(spec))
    index = corpus.built(spec)
    for number in range(6):
        before = index.corpus
        corpus.change(index)
        assert index.corpus != before
        if number % 2:
            index.save(tmp_path / "index")
            index = retrievers.load(tmp_path / "index")
    wanted = corpus.built(spec)
    if spec.startswith("faiss:ivf"):  # other clusters: products are summed in another order
        return assert_same(index, wanted, queries, rtol=1e-5)
    assert_same(index, wanted, queries)
    if index.takes == "text":
        assert [(index.text(row), index.metadata(row)) for row in range(len(index.ids))] == [
            (wanted.text(row), wanted.metadata(row)) for row in range(len(index.ids))
        ]


@pytest.mark.parametrize("spec", LEARNED)
def test_codes_that_were_learned_stay_as_they_were(spec, content, tmp_path):
    """A changed index answers as if every document had been there, and the others were left out."""
    if "pq" in spec:  # 256 vectors to learn from
        many = np.random.default_rng(2).normal(size=(520, 16)).astype(np.float32)
        content = {"dense": (many, content["dense"][1])}
    documents, queries = content[retrievers.make(spec).takes]
    ids = [f"d{number}" for number in range(len(documents))]
    half = len(ids) // 2
    index = retrievers.make(spec).index(ids[:half], documents[:half])
    wanted = retrievers.make(spec).index(ids[:half], documents[:half])
    wanted.add(ids[half:], documents[half:])
    index.save(tmp_path / "index")
    index = retrievers.load(tmp_path / "index")
    index.delete(ids[:half:3]).add(ids[half:], documents[half:]).delete(ids[half::5])
    got = index.search(queries, 10)
    expected = wanted.search(queries, 10, only=index.ids)
    assert [[index.ids[row] for row in rows] for rows in got.rows.tolist()] == [
        [wanted.ids[row] for row in rows] for rows in expected.rows.tolist()
    ]
    np.testing.assert_allclose(got.scores, expected.scores, rtol=1e-5)


@pytest.fixture(scope="module")
def encoder(tiny_folder):
    from sentence_transformers import SentenceTransformer

    return Encoder(SentenceTransformer(str(tiny_folder), device="cpu"), "tiny@1", "tiny")


def overlap(query, texts):
    """A reranker: words in common."""
    return [float(len({*query.split()} & {*text.split()})) for text in texts]


@pytest.mark.parametrize("shape", ["encoded", "reranked", "two stages"])
def test_compositions_pass_changes_on(shape, content, encoder, tmp_path):
    documents, queries = content["text"]

    def built():
        dense, bm25 = Encoded(encoder, "faiss:flat", batch=8), retrievers.make("lucene")
        return {
            "encoded": dense,
            "reranked": rrf(bm25, dense) >> rerank(overlap, 20, name="overlap", id="1"),
            "two stages": bm25 >> rerank(dense, 20),
        }[shape]

    def find(name):
        return Encoder(overlap, "1", name) if name == "overlap" else encoder

    corpus = Corpus(documents, 7)
    index = built().index(list(corpus.numbers), corpus.documents(corpus.numbers))
    for _ in range(4):
        corpus.change(index)
    index.save(tmp_path / "index")
    index = corpus.change(retrievers.load(tmp_path / "index", find))
    wanted = built().index(list(corpus.numbers), corpus.documents(corpus.numbers))
    assert set(index.ids) == set(wanted.ids)
    for query in queries:
        got, expected = (each.retrieve(query, 12) for each in (index, wanted))
        assert [hit.id for hit in got] == [hit.id for hit in expected]
        assert [hit.text for hit in got] == [hit.text for hit in expected]
        assert [hit.metadata for hit in got] == [hit.metadata for hit in expected]
        np.testing.assert_allclose(
            [hit.score for hit in got], [hit.score for hit in expected], rtol=1e-5
        )


def test_what_cannot_be_done_changes_nothing(content, tmp_path):
    documents, queries = content["text"]
    ids = [f"d{number}" for number in range(9)]
    index = retrievers.make("lucene").index(ids, documents[:9])
    index.save(tmp_path / "index")
    index = retrievers.load(tmp_path / "index")
    for change, words in (
        (lambda: index.add(["d3"], documents[:1]), "'d3' occurs twice: .* indexed already"),
        (lambda: index.add(["n", "n"], documents[:2]), "'n' occurs twice"),
        (lambda: index.add(["n"], documents[:2]), "1 ids were given for 2 documents"),
        (lambda: index.replace(["d1", "d1"], documents[:2]), "'d1' occurs twice"),
        (lambda: index.delete(["d1", "x"]), "1 of the ids are not in the index, such as 'x'"),
        (lambda: index.delete("d1"), "'d1' are one text"),
        (lambda: index.delete(ids), "No document would be left"),
    ):
        with pytest.raises(RetrieverError, match=words):
            change()
    assert_same(index, retrievers.make("lucene").index(ids, documents[:9]), queries)
    index.delete([]).add([], []).replace([], [])
    assert index.corpus == retrievers.make("lucene").index(ids, documents[:9]).corpus


def test_a_kind_of_index_that_cannot_says_so(content, tmp_path):
    class Frozen(type(retrievers.make("torch"))):
        updatable = False

    documents, _ = content["dense"]
    index = Frozen().index(["a", "b"], documents[:2])
    for change in (
        lambda: index.delete(["a"]),
        lambda: index.replace(["a"], documents[:1]),
        lambda: retrievers.Retriever.add(index, ["c"], documents[:1]),
    ):
        with pytest.raises(RetrieverError, match="neither takes nor gives up documents"):
            change()


def test_an_index_that_was_written_anew_is_loaded_again_first(tmp_path, content):
    documents, _ = content["text"]
    retrievers.make("lucene").index(["a", "b"], documents[:2]).save(tmp_path / "index")
    held = retrievers.load(tmp_path / "index")
    retrievers.load(tmp_path / "index").delete(["a"]).save(tmp_path / "index")
    with pytest.raises(RetrieverError, match="written anew since it was loaded"):
        held.add(["c"], documents[2:3])
