import subprocess
import sys

import numpy as np
import pytest
from scipy import sparse

import retrievers
from retrievers import RetrieverError
from retrievers.registry import SPECS


@pytest.mark.parametrize("spec", ["torch", "faiss:flat", "faiss:hnsw32", "lucene:hnsw"])
def test_vectors_that_do_not_fit(spec, ids, vectors):
    documents, queries = vectors
    index = retrievers.make(spec).index(ids, documents)
    broken = documents.copy()
    broken[5, 3] = np.nan
    with pytest.raises(RetrieverError, match="row 5 holds NaN"):
        index.index(ids, broken)
    index.index(ids, documents)
    for bad, words in [
        (queries[:, :7], "7 dimensions, those of the index 48"),
        (np.full((1, 48), np.inf, np.float32), "infinity"),
        (queries[0], "shape"),
        (["a text"], "Expected vectors"),
    ]:
        with pytest.raises(RetrieverError, match=words):
            index.search(bad, 3)
    with pytest.raises(RetrieverError, match="7 dimensions"):
        index.add(["x"], documents[:1, :7])


def test_ids_that_do_not_fit(ids, vectors):
    documents, _ = vectors
    index = retrievers.make("torch").add(ids[:3], documents[:3])
    for bad, words in [
        (["d1"], "'d1' occurs twice"),
        (["x", "x"], "'x' occurs twice"),
        ([""], "the id ''"),
        ([7], "the id 7"),
        (["x", "y", "z"], "3 ids were given for"),
    ]:
        with pytest.raises(RetrieverError, match=words):
            index.add(bad, documents[: min(len(bad), 2)])
    assert index.ids == ids[:3] and index.search(documents[:1], 5).rows.max() == 2, (
        "a refused chunk adds nothing"
    )


def test_searches_that_make_no_sense(ids, vectors, tmp_path):
    documents, queries = vectors
    with pytest.raises(RetrieverError, match="empty"):
        retrievers.make("torch").search(queries, 3)
    with pytest.raises(RetrieverError, match="empty"):
        retrievers.make("faiss:flat").save(tmp_path / "index")
    index = retrievers.make("torch").index(ids, documents)
    for k in (0, -1, 2.5, "3"):
        with pytest.raises(RetrieverError, match="k is"):
            index.search(queries, k)
    with pytest.raises(RetrieverError, match="'nobody'"):
        index.search(queries, 3, only=["d1", "nobody"])


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("fais:flat", "faiss:flat"),
        ("faiss:hsnw32", "hnsw32"),
        ("faiss:flat,efSerch=3", "ef_search"),
        ("faiss:hnsw32,efSearch=many", "number"),
        ("lucene:impct", "impact"),
        ("torch,metric=manhattan", "cosine"),
        ("", "faiss:flat"),
    ],
)
def test_unknown_strings_name_what_is_known(spec, words):
    with pytest.raises(RetrieverError) as error:
        retrievers.make(spec)
    assert words in error.value.hint


@pytest.mark.parametrize("spec", SPECS)
def test_every_string_in_the_list_is_known(spec):
    assert retrievers.make(spec).ids == []


def test_faiss_kinds_that_the_vectors_do_not_allow(vectors):
    documents, _ = vectors
    for spec, words in [
        ("faiss:ivf64", "64 vectors"),
        ("faiss:pq24", "256 vectors"),
        ("faiss:pq7", "7 divides"),
    ]:
        with pytest.raises(RetrieverError, match=words):
            retrievers.make(spec).index(["a", "b"], documents[:2])
    with pytest.raises(RetrieverError, match="8 divides"):
        retrievers.make("faiss:binary").index(["a", "b"], documents[:2, :12])
    with pytest.raises(RetrieverError, match="1024"):
        retrievers.make("lucene:hnsw").index(["a"], np.ones((1, 1025), np.float32))


@pytest.mark.parametrize(
    ("module", "spec", "extra"), [("faiss", "faiss:flat", "cpu"), ("seismic", "seismic", "cpu")]
)
def test_a_missing_package_says_what_to_type(module, spec, extra):
    code = (
        f"import sys\nsys.modules[{module!r}] = None\nimport retrievers\ntry:\n   "
        f" retrievers.make({spec!r})\nexcept retrievers.RetrieverError as e:\n    print(e, e.hint)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert f"pip install 'embedlab[{extra}]'" in answer.stdout


@pytest.mark.parametrize(
    "kind", ["hnsw0", "hnsw1", "hnsw99999999", "ivf0", "ivf0,sq8", "pq0", "ivf4,pq0"]
)
def test_numbers_that_would_end_the_process_are_refused(kind):
    with pytest.raises(RetrieverError, match="is no index"):
        retrievers.make(f"faiss:{kind}")


@pytest.mark.parametrize("spec", ["torch", "faiss:flat", "faiss:hnsw2", "lucene:hnsw"])
@pytest.mark.parametrize("size", [1e-30, 1e-23, 1e30])
def test_cosine_of_very_short_and_very_long_vectors(spec, size):
    vectors = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1]], np.float32) * np.float32(size)
    index = retrievers.make(spec, metric="cosine").index(["a", "b", "c"], vectors)
    (first, score), (second, other) = index.search_one(vectors[0], 2)
    assert (first, second) == ("a", "b") and score == pytest.approx(1, abs=1e-4)
    assert other == pytest.approx(2**-0.5, abs=1e-4)


def test_weights_beyond_half_precision_are_refused_by_seismic():
    with pytest.raises(
        RetrieverError, match=r"A weight is 70,000; Seismic keeps weights up to 65,504"
    ):
        retrievers.make("seismic").index(
            ["a"], sparse.csr_matrix(np.array([[70_000.0, 1.0]], np.float32))
        )


def test_a_language_whose_analyser_java_lacks_is_refused_before_documents_are_read():
    try:
        index = retrievers.make("lucene,language=th")
    except RetrieverError as error:
        assert "'th' does not work here" in str(error) and "\n" not in str(error) and error.hint
    else:  # a Java with Thai word lists
        assert index.index(["a"], ["แมวชอบดื่มนม"]).search_one("แมว", 1)


@pytest.mark.parametrize("device", ["evil", "cuda:99", "5"])
def test_a_device_that_is_not_there_is_refused(device):
    with pytest.raises(RetrieverError, match="is not there"):
        retrievers.make("torch", device=device)


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("faiss:hnsw32,efSearch=0", "ef_search"),
        ("faiss:hnsw32,efConstruction=-1", "ef_construction"),
        ("faiss:ivf4,nprobe=0", "nprobe"),
        ("faiss:sq8,rescore=-2", "rescore"),
        ("lucene:hnsw,efSearch=0", "ef_search"),
        ("lucene,k1=-5", "k1"),
        ("lucene,k1=nan", "k1"),
        ("lucene:multifield,b=7", "b"),
        ("seismic,queryCut=0", "query_cut"),
        ("seismic,heapFactor=nan", "heap_factor"),
    ],
)
def test_a_setting_out_of_its_range_is_refused_before_anything_is_indexed(spec, name):
    with pytest.raises(RetrieverError, match=f"The setting {name} is") as caught:
        retrievers.make(spec)
    assert caught.value.hint


def test_every_number_of_an_index_has_a_range():
    from dataclasses import fields

    from retrievers.registry import FAMILIES, index_class

    for family in FAMILIES:
        cls = index_class(family)
        numbers = {each.name for each in fields(cls) if type(each.default) in (int, float)}
        assert numbers == set(cls.ranges), family
