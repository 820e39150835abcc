"""Retrievers within Python: pickled, deep-copied, used by many threads."""

import copy
import pickle
import threading

import numpy as np
import pytest

import retrievers
from retrievers.pipelines.rerank import rerank

DENSE = (
    "torch",
    "faiss:flat",
    "faiss:hnsw32",
    "faiss:ivf8,nprobe=3",
    "faiss:binary,rescore=4",
    "lucene:hnsw",
)
SPARSE = ("sparse", "seismic", "lucene:impact")
TEXT = ("lucene", "lucene:multifield,k1=1.2")
WAYS = {"pickle": lambda index: pickle.loads(pickle.dumps(index)), "deepcopy": copy.deepcopy}


class Lengths:
    """A cross-encoder that prefers long texts."""

    def predict(self, pairs, show_progress_bar):
        return [float(len(text)) for _, text in pairs]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("spec", [*DENSE, *SPARSE, *TEXT])
def test_a_copy_answers_as_the_original(spec, way, tmp_path, ids, vectors, sparse_vectors, texts):
    documents, queries = (
        vectors
        if spec in DENSE
        else sparse_vectors
        if spec in SPARSE
        else (texts, ["w3 w5", "w100"])
    )
    index = retrievers.make(spec, encoder="model@1")
    assert WAYS[way](index).index(ids, documents).ids == ids  # an empty one takes documents
    index.index(ids, documents).save(tmp_path / "index")
    for original in (index, retrievers.load(tmp_path / "index")):
        twin = WAYS[way](original)
        assert twin.manifest == original.manifest and twin.text(3) == original.text(3)
        for got, wanted in zip(twin.search(queries, 9), original.search(queries, 9), strict=True):
            np.testing.assert_array_equal(got, wanted)
    WAYS[way](twin).save(tmp_path / "again")
    assert len(retrievers.load(tmp_path / "again").ids) == len(ids)


@pytest.mark.parametrize("way", WAYS)
def test_copies_of_composed_retrievers(way, ids, texts):
    first = retrievers.rrf(
        retrievers.make("lucene"), retrievers.make("lucene:multifield")
    ) >> rerank(Lengths(), 20)
    first.index(ids, texts)
    assert WAYS[way](first).search_one("w3 w5", 5) == first.search_one("w3 w5", 5)


def test_searching_threads_leave_no_java_thread(ids, texts):
    from retrievers.indexes._jvm import in_java, java

    index = retrievers.make("lucene").index(ids, texts)
    count = in_java(lambda: java("java.lang.Thread").activeCount())
    index.search_one("w3", 1)
    before = count()
    for _ in range(50):
        thread = threading.Thread(target=index.search_one, args=("w3", 1))
        thread.start()
        thread.join()
    assert count() <= before + 1
