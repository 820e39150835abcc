"""One name for each index, however it is written."""

import pytest

from retrievers.registry import FAMILIES, SPECS, canonical, make


@pytest.mark.parametrize(
    ("name", "spellings"),
    [
        ("muvera:faiss:flat", ["muvera", "muvera:faiss", "MUVERA:faiss:FLAT,candidates=200"]),
        ("muvera:faiss:ivf64,sq8,bits=8", ["muvera:faiss:IVF64,sq8,bits=8,pool=1.0"]),
        ("maxsim", ["maxsim,bits=32", "maxsim,pool=1"]),
        ("maxsim,bits=8,pool=2", ["maxsim,pool=2.0,bits=8", "maxsim, BITS=8, pool=2"]),
        ("faiss:flat", ["faiss", "faiss:Flat", "faiss:flat,rescore=0"]),
        ("faiss:hnsw32", ["faiss:HNSW32,ef_search=128", "faiss:hnsw32,efSearch=128"]),
        ("faiss:hnsw32,efSearch=64", ["faiss:hnsw32,ef_search=64,efConstruction=100"]),
        ("faiss:ivf64", ["faiss:ivf64,flat", "faiss:ivf64,nprobe=8"]),
        ("sparse", ["sparse,scale=0"]),
        ("torch,metric=ip", ["torch,Metric=ip"]),  # a model may have another
        ("seismic", ["seismic,queryCut=20"]),
        ("lucene", ["lucene:flat"]),
        ("lucene,k1=0.9", ["lucene:flat,K1=0.9"]),  # a card's k1 may be another
    ],
)
def test_spellings_of_one_index(name, spellings):
    assert [canonical(each) for each in (name, *spellings)] == [name] * (len(spellings) + 1)
    settings = make(name).settings
    assert all(make(each).settings == settings for each in spellings)


def test_the_names_that_are_shown_are_canonical():
    assert [canonical(name) for name in SPECS] == list(SPECS)
    assert {canonical(family).partition(",")[0].split(":")[0] for family in FAMILIES} == {
        family.split(":")[0] for family in FAMILIES
    }
