"""A filter works before the best are chosen: every family, and every composition, finds among the
documents that it lets through what the whole ranking has of them.
"""

import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

import retrievers
from retrievers import Encoded, Encoder, RetrieverError, rerank, rrf, weighted
from retrievers.pieces import Pieces
from retrievers.pipelines.by_chunks import Chunked

COUNT, DIM = 120, 16
# Of approximate kinds, those that look at everything with these settings.
DENSE = (
    "torch", "torch,metric=l2", "faiss:flat", "faiss:flat,metric=l1", "faiss:hnsw8,efSearch=150",
    "faiss:ivf4,nprobe=4", "faiss:sq8", "faiss:binary", "faiss:binary,rescore=120",
    "lucene:hnsw,efSearch=150",
)  # fmt: skip
SPARSE = ("sparse", "sparse,scale=100", "seismic", "lucene:impact")
LATE = ("maxsim", "maxsim,bits=4", "muvera:faiss:flat,candidates=120")
TEXT = ("lucene", "lucene:multifield")


class Words:
    """An encoder that knows words: of each text one vector, a sparse one, or one for each word."""

    def __init__(self, takes):
        self.takes = takes
        self.similarity_fn_name = "maxsim" if takes == "multi-vector" else "dot"

    def encode_query(self, texts, **_):
        return self.encode_document(texts)

    def encode_document(self, texts, **_):
        words = [[_vector(word) for word in text.split()] or [np.ones(DIM)] for text in texts]
        if self.takes == "multi-vector":
            return [np.array(each, dtype=np.float32) for each in words]
        vectors = np.array([np.sum(each, axis=0) for each in words], dtype=np.float32)
        return vectors if self.takes == "dense" else sparse.csr_matrix(np.maximum(vectors, 0))


def _vector(word):
    return np.random.default_rng(zlib.crc32(word.encode())).normal(size=DIM)


def encoded(spec, takes):
    return Encoded(Encoder(Words(takes), f"{takes}@1", takes), spec)


def overlap(query, texts):
    """A reranker: words in common."""
    return [float(len({*query.split()} & {*text.split()})) for text in texts]


def found(name):
    return Encoder(overlap, "1", name) if name == "overlap" else Encoder(Words(name), f"{name}@1")


def cut(texts):
    """Chunks of four words."""
    words = [text.split() for text in texts]
    pieces = [[" ".join(w[at : at + 4]) for at in range(0, max(len(w), 1), 4)] for w in words]
    spans = [(0, 1) for each in pieces for _ in each]
    starts = np.cumsum([0, *map(len, pieces)])
    return Pieces([piece for each in pieces for piece in each], spans, starts)


def documents(numbers, rng):
    words = [f"w{number}" for number in range(40)]
    made = {}
    for number in numbers:
        text = " ".join([f"own{number}", *rng.choice(words, rng.integers(2, 12))])
        made[f"d{number}"] = {"title": text.split()[1], "text": text, "year": 2000 + number % 30}
        if number % 4:
            made[f"d{number}"] |= {
                "lang": ["en", "de"][number % 2],
                "tags": ["x", "y"][: number % 3],
            }
    return made


QUERIES = ["w1 w2 w3", "w20", "w33 w1 w39 w12"]


def changed(index, tmp_path):
    """Documents added, replaced, deleted; saved and loaded. What is there now by id."""
    rng = np.random.default_rng(3)
    first, more = documents(range(80), rng), documents(range(80, COUNT), rng)
    index.index(list(first), list(first.values()))
    assert len(index.where("year >= 2010")) == 50
    index.add(list(more), list(more.values()))
    new = {f"d{n}": {**more[f"d{n}"], "year": 1900, "lang": "fr"} for n in range(90, 100)}
    index.replace(list(new), list(new.values()))
    index.delete([f"d{number}" for number in range(5, 80, 7)])
    everything = {id: new.get(id) or (first | more)[id] for id in index.ids}
    index.save(tmp_path / "index")
    return retrievers.load(tmp_path / "index", found), everything


CLAUSES = (
    ('year >= 2020 and lang = "en"', lambda d: d["year"] >= 2020 and d.get("lang") == "en"),
    ("not lang = 'en'", lambda d: d.get("lang", "en") != "en"),
    ("lang is null or tags contains 'y'", lambda d: "lang" not in d or "y" in d.get("tags", [])),
    ("year = 1900", lambda d: d["year"] == 1900),
    ("year > 2015 or year <= 2015", lambda d: True),
    ("year < 0", lambda d: False),
    ("title like 'w1%'", lambda d: d["title"].startswith("w1")),
)


def brute_force(index, let_through, query, k):
    """The first `k` of the whole ranking that are let through."""
    seismic = getattr(getattr(index, "vectors", None), "family", "") == "seismic"
    # Which cuts its lists, but for a filtered search.
    only = np.arange(len(index.ids)) if seismic else None
    hits = index.search([query], len(index.ids), only=only)
    pairs = zip(hits.rows[0].tolist(), hits.scores[0].tolist(), strict=True)
    return [(index.ids[r], score) for r, score in pairs if r >= 0 and index.ids[r] in let_through][
        :k
    ]


def assert_filtered(index, everything, lexical=False):
    for clause, matches in CLAUSES:
        through = {id for id, document in everything.items() if matches(document)}
        assert {index.ids[row] for row in index.where(clause)} == through
        for query in QUERIES:
            for k in (3, COUNT):
                hits = index.search([query], k, only=index.where(clause))
                pairs = zip(hits.rows[0].tolist(), hits.scores[0].tolist(), strict=True)
                got = [(index.ids[row], score) for row, score in pairs if row >= 0]
                if not lexical:
                    assert len(got) == min(k, len(through)), (clause, query)
                wanted = brute_force(index, through, query, k)
                assert [id for id, _ in got] == [id for id, _ in wanted], (clause, query, k)
                np.testing.assert_allclose(
                    [score for _, score in got],
                    [score for _, score in wanted],
                    rtol=2e-5,
                    atol=1e-4,
                )
            by_id = index.search([query], 5, only=sorted(through))
            np.testing.assert_array_equal(
                by_id.rows, index.search([query], 5, only=index.where(clause)).rows
            )


FAMILIES = [
    *((spec, "dense", few) for spec in DENSE for few in ((2, 50_000) if "faiss" in spec else (0,))),
    *((spec, "sparse", 0) for spec in SPARSE), *((spec, "multi-vector", 0) for spec in LATE),
    *((spec, "text", 0) for spec in TEXT),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "takes", "few"), FAMILIES)
def test_every_family_finds_the_best_among_those_let_through(
    spec, takes, few, tmp_path, monkeypatch
):
    """few: so many FAISS scores one by one, and searches among more with a selector."""
    if spec.startswith("faiss"):
        from retrievers.indexes import _faiss

        monkeypatch.setattr(_faiss, "_FILTER_ROWS", few)
    made = retrievers.make(spec) if takes == "text" else encoded(spec, takes)
    index, everything = changed(made, tmp_path)
    assert_filtered(index, everything, lexical=takes in ("text", "sparse"))


@pytest.mark.parametrize("spec", ["faiss:hnsw8,efSearch=1", "faiss:ivf8,nprobe=1"])
def test_as_many_as_match_are_found_where_graph_and_clusters_lead_to_fewer(spec, monkeypatch):
    from retrievers.indexes import _faiss

    monkeypatch.setattr(_faiss, "_FILTER_ROWS", 2)
    content = documents(range(400), np.random.default_rng(1))
    index = encoded(spec, "dense").index(list(content), list(content.values()))
    for clause in ("year > 2020", "year = 2020", "year != 2020", "id = 'd77'"):
        rows = index.where(clause)
        for k in (1, 20, 150):
            hits = index.search(QUERIES, k, only=rows)
            assert ((hits.rows >= 0).sum(axis=1) == min(k, len(rows))).all()
            assert np.isin(hits.rows[hits.rows >= 0], rows).all()


def dense():
    return encoded("faiss:flat", "dense")


def ranking(part, let_through, query, depth):
    """A part's documents among those let through, equal scores by descending id."""
    everything = brute_force(part, let_through, query, len(part.ids))
    return sorted(sorted(everything, reverse=True), key=lambda pair: -pair[1])[:depth]


def fused(parts, let_through, query, depth=1000):
    """Reciprocal rank fusion, written out."""
    total = {}
    for part in parts:
        for rank, (id, _) in enumerate(ranking(part, let_through, query, depth)):
            total[id] = total.get(id, 0) + 1 / (61 + rank)
    return sorted(sorted(total, reverse=True), key=lambda id: -np.float32(total[id]))


def reordered(first, texts, query, depth):
    scores = {id: overlap(query, [texts[id]])[0] for id in first[:depth]}
    return sorted(sorted(scores, reverse=True), key=lambda id: -scores[id])


@pytest.mark.parametrize("shape", ["rrf", "rrf reranked", "reranked"])
def test_a_composition_is_filtered_part_by_part(shape, tmp_path):
    stage = rerank(overlap, 8, name="overlap", id="1")
    made = {
        "rrf": lambda: rrf(retrievers.make("lucene"), dense(), depth=10),
        "rrf reranked": lambda: rrf(retrievers.make("lucene"), dense()) >> stage,
        "reranked": lambda: dense() >> stage,
    }[shape]()
    index, everything = changed(made, tmp_path)
    texts = {id: index.text(row) for row, id in enumerate(index.ids)}
    for clause, matches in CLAUSES:
        through = {id for id, document in everything.items() if matches(document)}
        for query in QUERIES:
            if shape == "rrf":
                wanted = fused(index.parts, through, query, 10)
            elif shape == "rrf reranked":
                wanted = reordered(fused(index.first.parts, through, query), texts, query, 8)
            else:
                first = [id for id, _ in ranking(index.first, through, query, 8)]
                wanted = reordered(first, texts, query, 8)
            for k in (3, 8):
                got = index.retrieve(query, k, where=clause)
                assert [hit.id for hit in got] == wanted[:k], (clause, query)


@pytest.mark.parametrize("shape", ["weighted", "z-score", "late second", "nested"])
def test_a_composition_finds_as_many_as_match(shape, tmp_path):
    late = encoded("maxsim", "multi-vector")
    made = {
        "weighted": lambda: weighted(retrievers.make("lucene"), dense(), weights=[1, 2]),
        "z-score": lambda: weighted(dense(), late, normalise="z-score"),
        "late second": lambda: dense() >> rerank(late, 15),
        "nested": lambda: rrf(rrf(dense(), retrievers.make("lucene")), dense()) >> rerank(late, 15),
    }[shape]()
    index, everything = changed(made, tmp_path)
    for clause, matches in CLAUSES:
        through = {id for id, document in everything.items() if matches(document)}
        got = index.retrieve(QUERIES[0], 15, where=clause)
        assert len(got) == min(15, len(through))
        assert {hit.id for hit in got} <= through


@pytest.mark.parametrize("over", ["max", "mean"])
@pytest.mark.parametrize("takes", ["dense", "text"])
def test_the_metadata_of_documents_are_those_of_their_chunks(over, takes, tmp_path):
    part = dense() if takes == "dense" else retrievers.make("lucene")
    means = retrievers.make("torch") if (over, takes) == ("mean", "dense") else None
    made = Chunked(part, cut, over=over, means=means, spec="four words")
    index, everything = changed(made, tmp_path)
    assert len(index.part.ids) > len(index.ids)
    assert_filtered(index, everything, lexical=takes == "text")
    (best,) = index.retrieve(QUERIES[0], 1, where="id = 'd7'")
    assert best.id == "d7" and best.start is not None


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_random_metadata_and_filters(data):
    """Every combination of who has which value."""
    values = st.fixed_dictionaries({}, optional={"year": st.integers(0, 3), "lang": st.text("ab")})
    some = data.draw(st.lists(values, min_size=2, max_size=15))
    year, lang = data.draw(st.integers(0, 3)), data.draw(st.text("ab'"))
    quoted = retrievers.where.literal(lang)
    clause, matches = data.draw(
        st.sampled_from(
            [
                (f"year >= {year}", lambda d: d.get("year", -1) >= year),
                (f"not lang = {quoted}", lambda d: "lang" in d and d["lang"] != lang),
                (f"year != {year} and lang is null", lambda d: "lang" not in d
                 and d.get("year", year) != year),
                (f"lang <= {quoted} or year in ({year}, 9)", lambda d: d.get("lang", "c") <= lang
                 or d.get("year") == year),
            ]
        )
    )  # fmt: skip
    ids = [f"d{row}" for row in range(len(some))]
    texts = [{"text": f"w{row % 5} w{row}", **each} for row, each in enumerate(some)]
    parts = [encoded("torch", "dense").index(ids, texts), encoded("sparse", "sparse")]
    parts[1].index(ids[::-1], texts[::-1])
    through = {id for id, each in zip(ids, some, strict=True) if matches(each)}
    for index in (parts[0], rrf(*parts), parts[0] >> rerank(parts[1], 20)):
        try:
            got = [hit.id for hit in index.retrieve("w1 w2", 4, where=clause)]
        except RetrieverError as error:
            assert "No document has a field" in str(error)
            continue
        assert set(got) <= through and len(got) == min(4, len(through))
        if index is parts[0]:
            assert got == [id for id, _ in brute_force(index, through, "w1 w2", 4)]


def test_parts_may_hold_different_documents():
    first = retrievers.make("lucene").index(["a", "b"], [{"text": "w1", "year": 1}, "w1"])
    second = dense().index(["b", "c"], ["w1", {"text": "w1", "year": 3, "lang": "de"}])
    index = rrf(first, second)
    assert [index.ids[row] for row in index.where("year > 0")] == ["a", "c"]
    assert [hit.id for hit in index.retrieve("w1", 5, where="year > 1 or lang = 'de'")] == ["c"]
    assert [hit.id for hit in index.retrieve("w1", 5, only=["a", "b"], where="year > 0")] == ["a"]
    assert index.retrieve("w1", 5, only=np.array([1, 2]), where="year > 0")[0].id == "c"
    with pytest.raises(RetrieverError, match=r"not in the index, such as 'x'"):
        index.retrieve("w1", 5, only=["x"], where="year > 0")


def test_rows_that_are_not_there_are_refused():
    index = retrievers.make("torch").index(["a", "b"], np.eye(2, dtype=np.float32))
    for rows in ([-1], [0, 2]):
        with pytest.raises(RetrieverError, match="names the rows"):
            index.search(np.eye(2, dtype=np.float32), 1, only=np.array(rows))
    assert index.where("id = 'b'").tolist() == [1]
    with pytest.raises(RetrieverError, match="No document has a field 'year'"):
        index.where("year = 1")


@pytest.mark.parametrize("over", ["max", "mean"])
def test_an_addition_to_chunks_that_fails_changes_nothing(over, monkeypatch):
    from retrievers.pipelines import chunk_store

    content = documents(range(30), np.random.default_rng(2))
    means = retrievers.make("torch") if over == "mean" else None
    index = Chunked(dense(), cut, over=over, means=means).index(
        list(content), list(content.values())
    )
    before = [index.retrieve(query, 30) for query in QUERIES]
    monkeypatch.setattr(chunk_store, "_BATCH", 2)
    encode, calls = Words.encode_document, []

    def failing(self, texts, **how):
        calls.append(texts)
        if len(calls) == 4:
            raise MemoryError("full")
        return encode(self, texts, **how)

    monkeypatch.setattr(Words, "encode_document", failing)
    more = documents(range(30, 40), np.random.default_rng(2))
    for change in (index.add, index.replace):
        calls.clear()
        with pytest.raises(MemoryError):
            change(list(more), list(more.values()))
    monkeypatch.setattr(Words, "encode_document", encode)
    assert [index.retrieve(query, 30) for query in QUERIES] == before
    index.cut = None
    with pytest.raises(RetrieverError, match="without what cuts them"):
        index.add(["n"], ["w1"])
