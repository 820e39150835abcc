"""Ids of an index without Python's strings: as a list has them; texts that lie elsewhere."""

import numpy as np
import pytest

from retrievers import make
from retrievers.errors import RetrieverError
from retrievers.names import Names, rows_in, united


@pytest.mark.parametrize("seed", range(3))
def test_names_are_found_as_in_a_list(seed):
    rng = np.random.default_rng(seed)
    names, plain = Names(), []
    for _ in range(40):
        block = [
            "é" * int(rng.integers(0, 3))
            + str(rng.integers(10**6))
            + "x" * int(rng.integers(0, 40))
            for _ in range(int(rng.integers(0, 700)))
        ]
        if rng.random() < 0.5:  # some are looked for in between, which sorts what is there
            assert "nobody" not in names
        names.extend(block)
        plain += block
    plain.append("\ud800")  # half a character, which files of others may hold
    names.extend(["\ud800"])
    first = {}
    for row, name in enumerate(plain):
        first.setdefault(name, row)
    wanted = [*plain[::5], "nobody", "", "\ud800"]
    found = [first.get(name, -1) for name in wanted]
    assert names.rows(wanted).tolist() == found
    assert names == plain and plain == names and list(names) == plain
    assert names[-1] == plain[-1] and names[7:9] == plain[7:9]
    kept = np.arange(0, len(plain), 3)
    assert names.at(kept) == plain[::3]
    assert names.rows([5, None]).tolist() == [-1, -1]  # no texts: none of them
    assert rows_in(["a", "b"], ["b", "c"]).tolist() == [1, -1]


def test_lists_that_differ_are_united():
    ids, rows = united([["a", "b"], Names(["c", "b"])])
    assert ids == ["a", "b", "c"]
    assert [each.tolist() for each in rows] == [[0, 1], [2, 1]]
    ids, rows = united([Names(["a", "b"]), ["a", "b"]])
    assert ids == ["a", "b"] and [each.tolist() for each in rows] == [[0, 1], [0, 1]]


def test_one_hash_of_two_names(monkeypatch):
    monkeypatch.setattr("retrievers.names._hashes", lambda names: np.zeros(len(names), np.uint64))
    names = Names([f"d{n}" for n in range(50)])
    names.extend(["e"])
    assert names.rows(["d7", "e", "nobody", "d49"]).tolist() == [7, 50, -1, 49]


def test_borrowed_texts_are_read_where_they_lie():
    texts = [f"word{n} and" for n in range(20)]
    ids = [f"d{n}" for n in range(20)]
    own, borrowing = make("lucene").index(ids, texts), make("lucene")
    borrowing.borrow(texts)
    for start in (0, 10):
        borrowing.add(ids[start : start + 10], texts[start : start + 10])
    assert borrowing.corpus == own.corpus
    assert borrowing.search_one("word7", 1)[0][0] == "d7" and borrowing.text(7) == texts[7]
    with pytest.raises(RetrieverError, match="'d7' occurs twice"):
        borrowing.add(["d7"], ["again"])
