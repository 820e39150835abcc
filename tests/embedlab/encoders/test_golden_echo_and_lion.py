"""Scores that the authors print for their published weights.
Gigabytes of downloads: they run on demand alone.
"""

import os

import numpy as np
import pytest

from embedlab import models
from embedlab.encoders.modules.splade import to_csr

pytestmark = pytest.mark.skipif(
    os.environ.get("EMBEDLAB_GOLDEN") != "1",
    reason="needs the published weights; set EMBEDLAB_GOLDEN=1",
)

QUERIES = ["What is the capital of France?", "Who wrote '1984'?"]
PASSAGES = ["Paris is the capital of France.", "George Orwell wrote '1984'."]


def encoded(name):
    model = models.load(name, dtype="float32").encoder
    return model.encode_query(QUERIES), model.encode_document(PASSAGES)


def test_lion_sparse():
    queries, passages = map(to_csr, encoded("lion-sp-1b"))
    assert np.allclose(
        (queries @ passages.T).toarray(), [[14.8352, 0.0264], [0.0055, 13.9098]], atol=0.05
    )


def test_lion_dense():
    queries, passages = encoded("lion-ds-1b")
    assert np.allclose(queries @ passages.T, [[0.2878, 0.1321], [0.1041, 0.2922]], atol=0.005)


def test_echo():
    model = models.load("echo-mistral-7b-instruct-lasttoken", dtype="float32").encoder
    query = model.encode_query(QUERIES[0], prompt="Retrieve passages that answer the question")
    assert float(model.similarity(query, model.encode_document(PASSAGES[0]))) == pytest.approx(
        0.5797, abs=0.005
    )
