"""Ties: what works on ranks gives the same answer for documents in any order."""

import numpy as np
import pytest

import retrievers
from retrievers import rerank, rrf, ties, weighted
from retrievers.base import Hits

WORDS = ["apple", "pear", "plum", "fig"]


def corpus(order):
    """200 short documents, many of them equal, in an order given by a seed."""
    documents = {f"d{n}": " ".join(WORDS[: 1 + n % 4]) for n in range(200)}
    ids = [list(documents)[n] for n in np.random.default_rng(order).permutation(200)]
    return ids, [documents[id] for id in ids]


class Constant:
    """A cross-encoder to which all documents with as many words are alike."""

    def predict(self, pairs, show_progress_bar=False):
        return np.array([len(text.split()) % 2 for _, text in pairs], dtype=np.float32)


def lucene():
    return retrievers.make("lucene")


@pytest.mark.parametrize(
    "made",
    [
        lambda: rrf(lucene(), retrievers.make("lucene,b=0.9"), depth=7),
        lambda: weighted(lucene(), retrievers.make("lucene,b=0.9"), depth=7),
        lambda: lucene() >> rerank(Constant(), depth=7),
        lambda: rrf(lucene() >> rerank(Constant(), depth=9), lucene(), depth=7),
        lambda: rrf(lucene(), lucene(), depth=7) >> rerank(Constant(), depth=5),
    ],
    ids=["rrf", "weighted", "rerank", "rrf of a reranker", "reranked rrf"],
)
def test_the_order_of_documents_is_nothing(made):
    answers = []
    for order in range(3):
        ids, texts = corpus(order)
        retriever = made().index(ids, texts)
        answers.append(
            [retriever.search_one(query, k) for query in ("apple", "fig plum") for k in (3, 20)]
        )
    assert answers[0] == answers[1] == answers[2]


def test_ties_at_the_cut_are_settled_by_id():
    ids, texts = corpus(0)
    index = lucene().index(ids, texts)
    found = ties.search(index, ["apple"], 10)
    alike = sorted(
        (id for id, text in zip(ids, texts, strict=True) if text == "apple"), reverse=True
    )
    assert [ids[row] for row in found.rows[0]] == alike[:10]
    few = ties.search(index, ["apple", "nothing"], 300)
    assert few.rows.shape == (2, 300) and (few.rows[1] == -1).all()
    assert sorted(few.rows[0, :200]) == list(range(200))
    among = ties.search(index, ["apple"], 2, only=alike[5:9])
    assert [ids[row] for row in among.rows[0]] == alike[5:7]


def test_by_id_moves_nothing_but_ties():
    ids = ["b", "a", "d", "c"]
    hits = Hits(
        np.array([[0, 1, 2, 3], [3, 2, -1, -1]], np.int32),
        np.array([[2, 1, 1, 0], [1, 1, -np.inf, -np.inf]]),
    )
    settled = ties.by_id(hits, ids)
    assert settled.rows.tolist() == [[0, 2, 1, 3], [2, 3, -1, -1]]
    assert settled.scores.tolist() == hits.scores.tolist()
