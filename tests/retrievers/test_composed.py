import numpy as np
import pytest

import retrievers
from retrievers import RetrieverError, rerank, rrf, ties, weighted
from retrievers.base import Hits
from retrievers.pipelines.fusion import fuse
from retrievers.pipelines.late import MaxSim


def hits(*lists):
    """Hits from lists of (row, score)."""
    k = max(map(len, lists))
    rows = np.full((len(lists), k), -1, np.int32)
    scores = np.full((len(lists), k), -np.inf, np.float32)
    for q, pairs in enumerate(lists):
        for place, (row, score) in enumerate(pairs):
            rows[q, place], scores[q, place] = row, score
    return Hits(rows, scores)


def test_rrf_by_hand():
    a, b = hits([(4, 9.0), (2, 8.0), (7, 1.0)], []), hits([(7, 0.3), (4, 0.2)], [(1, 0.5)])
    fused = fuse([a, b], "rrf", [1, 1], 4)
    assert fused.rows.tolist() == [[4, 7, 2, -1], [1, -1, -1, -1]]
    np.testing.assert_allclose(
        fused.scores[0, :3], [1 / 61 + 1 / 62, 1 / 63 + 1 / 61, 1 / 62], rtol=1e-6
    )
    assert fuse([a, b], "rrf", [0.1, 1], 1).rows[0, 0] == 7


def test_min_max_and_z_score_by_hand():
    a, b = hits([(4, 9.0), (2, 7.0), (7, 1.0)]), hits([(7, 0.3), (4, 0.1)])
    fused = fuse([a, b], "min-max", [0.5, 0.5], 3)
    assert fused.rows.tolist() == [[4, 7, 2]], "a tie goes to the lower row"
    np.testing.assert_allclose(fused.scores, [[0.5, 0.5, 0.375]], rtol=1e-6)
    z = fuse([a, b], "z-score", [1, 1], 3)
    spread_a, spread_b = np.std([9.0, 7.0, 1.0]), np.std([0.3, 0.1])
    expected = {4: 8 / spread_a, 2: 6 / spread_a, 7: 0.2 / spread_b}
    assert z.rows[0].tolist() == sorted(expected, key=lambda row: -expected[row])
    np.testing.assert_allclose(z.scores[0], sorted(expected.values(), reverse=True), rtol=1e-5)


def test_parts_may_hold_their_documents_in_any_order(ids, texts):
    queries = ["w3 w5 w9", "w100 w7"]
    first = retrievers.make("lucene").index(ids, texts)
    same = retrievers.make("lucene,b=0.8").index(ids, texts)
    turned = retrievers.make("lucene,b=0.8").index(ids[::-1], texts[::-1])
    wanted = rrf(first, first).search(queries, 10)
    assert (wanted.rows == ties.search(first, queries, 10).rows).all(), (
        "fused with itself, a ranking stays"
    )
    answers = [rrf(first, other, depth=600).search(queries, 600) for other in (same, turned)]
    assert (answers[0].rows == answers[1].rows).all()
    np.testing.assert_array_equal(answers[0].scores, answers[1].scores)
    fewer = retrievers.make("lucene").index([*ids[:50], "new"], [*texts[:50], "w3 w5 w9"])
    both = rrf(first, fewer)
    assert both.ids == [*ids, "new"] and both.text(600) == "w3 w5 w9"
    assert "new" in dict(both.search_one("w3 w5 w9", 20))
    assert dict(both.search_one("w3 w5 w9", 20, only=["new", "d7"])).keys() <= {"new", "d7"}


def test_a_fusion_is_saved_and_loaded(tmp_path, ids, texts):
    fused = weighted(
        retrievers.make("lucene"),
        retrievers.make("lucene,b=0.9"),
        weights=[0.3, 0.7],
        normalise="z-score",
    ).index(ids, texts)
    fused.save(tmp_path / "index")
    loaded = retrievers.load(tmp_path / "index")
    assert (loaded.search(["w3 w5"], 10).scores == fused.search(["w3 w5"], 10).scores).all()


def test_a_reranker_is_saved_by_its_name(monkeypatch, tmp_path, ids, texts):
    stage = rerank(
        lambda query, found: [len(text) for text in found], 7, id="long@1", name="longest"
    )
    chain = (
        rrf(retrievers.make("lucene"), retrievers.make("lucene,b=0.9")).index(ids, texts) >> stage
    )
    chain.save(tmp_path / "index")
    asked = []

    def known(name, id="long@1"):
        asked.append(name)
        return retrievers.Encoder(stage.scorer, id)

    loaded = retrievers.load(tmp_path / "index", known)
    assert asked == ["longest"]
    for got, wanted in zip(loaded.search(["w3 w5"], 9), chain.search(["w3 w5"], 9), strict=True):
        np.testing.assert_array_equal(got, wanted)
    loaded.save(tmp_path / "again")
    monkeypatch.setattr("retrievers.registry._installed_finder", lambda: None)
    for encoder, words in [
        (None, "needs its reranker, longest"),
        (lambda name: known(name, "long@2"), "not 'long@2'"),
    ]:
        with pytest.raises(RetrieverError, match=words):
            retrievers.load(tmp_path / "again", encoder)


class Lengths:
    """Sees the candidates of all queries at once."""

    def __init__(self):
        self.asked = []

    def score_lists(self, queries, lists):
        self.asked.append((list(queries), [len(texts) for texts in lists]))
        return [[-len(text) for text in texts] for texts in lists]


def test_a_scorer_of_many_lists_gets_them_together(ids, texts):
    first, scorer = retrievers.make("lucene").index(ids, texts), Lengths()
    queries = ["w3 w5", "nothing has this", "w7"]
    one = first >> rerank(lambda query, found: [-len(text) for text in found], depth=20)
    many = first >> rerank(scorer, depth=20)
    for ours, theirs in zip(many.search(queries, 20), one.search(queries, 20), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert scorer.asked == [(["w3 w5", "w7"], [20, 20])], "a query without candidates is not asked"
    scorer.score_lists = lambda queries, lists: [[1.0]]
    with pytest.raises(RetrieverError, match="1 lists of scores for 2 queries"):
        many.search(queries, 20)


def test_reranking_orders_by_the_scorer_alone(ids, texts):
    first = retrievers.make("lucene").index(ids, texts)
    shortest = first >> rerank(lambda query, found: [-len(text) for text in found], depth=20)
    rows = shortest.search(["w3 w5"], 30).rows[0]
    lengths = [len(first.text(row)) for row in rows[:20]]
    assert lengths == sorted(lengths) and (rows[20:] == -1).all()
    assert set(rows[:20].tolist()) == set(ties.search(first, ["w3 w5"], 20).rows[0].tolist())
    assert len(shortest.search_one("w3 w5", 3, only=ids[:300])) == 3


def test_pipelines_compose(ids, texts):
    first, second = retrievers.make("lucene"), retrievers.make("lucene,b=0.9")
    longest_first = rerank(lambda query, found: [len(text) for text in found], depth=50)
    shortest_first = rerank(lambda query, found: [-len(text) for text in found], depth=5)
    whole = rrf(first, second) >> longest_first >> shortest_first
    assert isinstance(whole, retrievers.Retriever)
    rows = whole.index(ids, texts).search(["w3 w5", "w8"], 5).rows
    fifty = rrf(first, second).search(["w3 w5", "w8"], 50).rows
    for found, candidates in zip(rows, fifty, strict=True):
        longest = sorted(
            (len(first.text(row)) for row in candidates[candidates >= 0]), reverse=True
        )[:5]
        assert [len(first.text(row)) for row in found] == longest[::-1]


def test_a_cross_encoder_reranks(tiny_folder, tmp_path):
    import torch
    from sentence_transformers import CrossEncoder
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    torch.manual_seed(1)
    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    sizes = {
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
    }
    config = BertConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=64,
        num_labels=1,
        initializer_range=0.5,
        **sizes,
    )
    BertForSequenceClassification(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    model = CrossEncoder(str(tmp_path), device="cpu", max_length=64)
    documents = [f"cell gene w{n} w{n * 3}" for n in range(30)]
    first = retrievers.make("lucene").index([f"d{n}" for n in range(30)], documents)
    found = (first >> rerank(model, depth=30)).search(["the cell w6"], 30)
    wanted = model.predict([("the cell w6", text) for text in documents], batch_size=1)
    assert found.rows[0].tolist() == np.argsort(-wanted, kind="stable").tolist()
    np.testing.assert_allclose(found.scores[0], np.sort(wanted)[::-1], atol=1e-5)


class Letters:
    """Token vectors by hand: one axis per letter."""

    def encode_query(self, texts):
        return [
            np.eye(26, dtype=np.float32)[[ord(letter) - 97 for letter in text]] for text in texts
        ]

    encode_document = encode_query


def test_max_sim_by_hand():
    scores = MaxSim(Letters()).score_lists(["abba", "c"], [["a", "ab", "xyz"], ["ab", "abc"]])
    assert [each.tolist() for each in scores] == [[2.0, 4.0, 0.0], [0.0, 1.0]]


def test_bad_compositions(ids, texts, vectors, tmp_path):
    first = retrievers.make("lucene").index(ids, texts)
    for wrong, words in [
        (lambda: rrf(first), "two or more"),
        (lambda: weighted(first, first, weights=[1]), "one weight for each"),
        (lambda: weighted(first, first, normalise="max"), "min-max"),
        (lambda: rerank(3), "cross-encoder"),
        (lambda: rerank(len, depth=0), "1 document"),
        (lambda: rrf(first, first, depth=0), "1 or more"),
        (lambda: rrf(first, first, weights=[1, float("nan")]), "finite"),
        (lambda: rrf(first, first, weights=[0, 0]), "above 0"),
        (lambda: weighted(first, first, weights=[0, -1]), "above 0"),
        (lambda: rrf(first, first).search(["w3"], 0), "1 document"),
        (
            lambda: rrf(first, first).search(["w3"], 3, only=["d1", "nobody"]),
            "ids that were indexed",
        ),
        (lambda: (first >> rerank(lambda q, t: [1.0])).search(["w3"], 0), "1 document"),
        (lambda: (first >> rerank(lambda q, t: [1.0])).save(tmp_path / "index"), "name=..."),
        (lambda: (first >> rerank(lambda q, t: [1.0])).search(["w3 w5"], 5), "one finite score"),
        (
            lambda: (first >> rerank(lambda q, t: [np.nan] * len(t))).search(["w3 w5"], 5),
            "one finite score",
        ),
    ]:
        with pytest.raises(RetrieverError) as error:
            wrong()
        assert words in error.value.hint
    dense = retrievers.make("torch").index(ids, vectors[0])
    with pytest.raises(RetrieverError, match="no texts"):
        (dense >> rerank(lambda q, t: [0.0] * len(t))).search(vectors[1], 3)


def test_a_fusion_that_is_indexed_anew_answers_with_the_new_ids():
    both = retrievers.rrf(retrievers.make("lucene"), retrievers.make("lucene:multifield"))
    both.index(["a1", "a2"], ["apples are red", "bananas are yellow"])
    assert both.search_one("apples", 1)[0][0] == "a1"
    both.index(["z1", "z2"], ["violins sing", "apples fall"])
    assert (
        both.ids == ["z1", "z2"]
        and both.search_one("apples", 1)[0][0] == "z2"
        and both.text(1) == "apples fall"
    )
    both.parts[0].add(["z3"], ["apples apples apples"])  # one part alone grows
    assert both.ids == ["z1", "z2", "z3"]
