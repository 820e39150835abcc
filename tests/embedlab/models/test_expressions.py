"""Expressions of composed retrievers: what parses, what it means,
and one clear error for what does not.
"""

import pytest

from embedlab.errors import UserError
from embedlab.models.expressions import Fused, Leaf, Reranked, is_composed, parse
from retrievers import RetrieverError


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("rrf(bm25,a)", "rrf(bm25, a)"),
        ("rrf( bm25 , org/model )", "rrf(bm25, org/model)"),
        ("rrf(bm25, a) >> org/ranker", "rrf(bm25, a) >> org/ranker"),
        ("bm25 >> rerank(b, depth=100)", "bm25 >> b"),
        ("(bm25 >> rerank(b; depth=20)) >> c", "bm25 >> rerank(b, depth=20) >> c"),
        ("rrf((bm25 >> b), rrf(a, c, k=5))", "rrf(bm25 >> b, rrf(a, c, k=5))"),
        (
            "weighted(b, a; normalise=z-score, weights=3/7)",
            "weighted(b, a, weights=3/7, normalise=z-score)",
        ),
        ("rrf(bm25, my_file.py:Model, ./a folder/x)", "rrf(bm25, my_file.py:Model, ./a folder/x)"),
        (
            "rrf(a@faiss:ivf64,sq8,nprobe=4, a@torch, k=9)",
            "rrf(a@faiss:ivf64,sq8,nprobe=4, a@torch, k=9)",
        ),
    ],
)
def test_expressions_have_one_form(text, canonical):
    assert is_composed(text)
    assert str(parse(text)) == canonical
    assert parse(canonical) == parse(text)


def test_what_an_expression_means():
    tree = parse("rrf(bm25, (a@faiss:hnsw32,efSearch=64 >> b), k=9) >> rerank(c, depth=5)")
    first = Fused(
        "rrf", (Leaf("bm25"), Reranked(Leaf("a", "faiss:hnsw32,efSearch=64"), "b")), (("k", "9"),)
    )
    assert tree == Reranked(first, "c", 5)
    assert [leaf.name for leaf in tree.leaves()] == ["bm25", "a"]
    assert tree.stages() == ["b", "c"]
    assert (
        str(tree.named(str.upper))
        == "rrf(BM25, A@faiss:hnsw32,efSearch=64 >> B, k=9) >> rerank(C, depth=5)"
    )


def test_names_that_are_no_expressions(tmp_path, monkeypatch):
    for name in ("bm25", "org/model", "./folder", "my_file.py:Model"):
        assert not is_composed(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rrf (old)").mkdir()
    assert not is_composed("rrf (old)")
    (tmp_path / "model@v1").mkdir()
    assert parse("rrf(model@v1, model@v1@torch)").leaves() == [
        Leaf("model@v1"),
        Leaf("model@v1", "torch"),
    ]


@pytest.mark.parametrize(
    ("text", "problem", "hint"),
    [
        ("rff(bm25, a)", "Unknown function 'rff'", "rrf"),
        ("rrf(bm25)", "needs two models or more, and 'bm25' is one", "rrf(bm25, ANOTHER)"),
        ("rrf(bm25 a)", "needs two models or more, and 'bm25 a' is one", "by commas: rrf(bm25, a)"),
        ("rrf(bm25, )", "'bm25,' is empty", "rrf(bm25"),
        ("bm25 >>", "'bm25 >>' is empty", "bm25 >>"),
        ("rrf(bm25, a", "parentheses of 'rrf(bm25, a'", "rrf(bm25"),
        ("rrf(bm25, a))", "parentheses of", "rrf(bm25"),
        ("rrf(bm25, a, kk=3)", "rrf has no setting 'kk'", "k, depth, weights"),
        ("rrf(bm25, a, k=many)", "k='many'", "whole number"),
        ("rrf(bm25, a, depth=0)", "depth 0", "1 or more"),
        ("weighted(bm25, a, weights=1/x)", "weights='1/x'", "0.3/0.7"),
        ("weighted(bm25, a, weights=1)", "1 weights for 2", "one weight for each"),
        ("weighted(bm25, a, weights=0/0)", "None of the weights", "above 0"),
        ("rrf(bm25, a, weights=0/0)", "None of the weights", "above 0"),
        ("weighted(bm25, a, normalise=max)", "'max'", "z-score"),
        ("rrf(bm25, a@fais:flat)", "Unknown retriever 'fais:flat'", "faiss:flat"),
        ("bm25 >> rrf(a, b)", "rrf(a, b) stands behind >>", "CROSS-ENCODER"),
        ("bm25 >> rerank(a, b)", "names 2 models", "one model"),
        ("bm25 >> rerank(a, depth=0)", "depth is 0", "1 document"),
        ("rerank(a)", "Unknown function 'rerank'", "behind >>"),
    ],
)
def test_malformed_expressions(text, problem, hint):
    with pytest.raises((UserError, RetrieverError)) as error:
        parse(text)
    assert problem in str(error.value)
    assert hint in error.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "(" * 100_000,
        "rrf(" * 2000 + "bm25",
        "(" * 60 + "bm25" + ")" * 60 + " >> a",
        "a" * 20_000 + " >> b",
    ],
)
def test_expressions_beyond_all_measure_are_refused(text):
    with pytest.raises(UserError, match=r"nested|characters long"):
        parse(text)
    assert is_composed(text) in (True, False)
