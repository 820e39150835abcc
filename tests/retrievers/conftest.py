"""A small collection as texts, dense and sparse vectors,
and SciFact where it is beside the repository.
"""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

os.environ.setdefault("HAYSTACK_TELEMETRY_ENABLED", "False")

SCIFACT = Path(__file__).resolve().parents[2] / "../shared/data/beir/scifact"


@pytest.fixture(scope="session")
def ids():
    return [f"d{i}" for i in range(600)]


@pytest.fixture(scope="session")
def vectors():
    """600 documents and 12 queries, 48 dimensions, in clusters as embeddings are."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(20, 48))
    documents = centres[rng.integers(0, 20, 600)] + 0.6 * rng.normal(size=(600, 48))
    queries = centres[rng.integers(0, 20, 12)] + 0.6 * rng.normal(size=(12, 48))
    return documents.astype(np.float32), queries.astype(np.float32)


@pytest.fixture(scope="session")
def sparse_vectors():
    """600 documents and 12 queries over 300 terms; document 7 and query 11 have none."""
    documents = sparse.random(600, 300, 0.08, random_state=0, format="lil", dtype=np.float32) * 3
    queries = sparse.random(12, 300, 0.05, random_state=1, format="lil", dtype=np.float32) * 2
    documents[7], queries[11] = 0, 0
    return sparse.csr_matrix(documents), sparse.csr_matrix(queries)


@pytest.fixture(scope="session")
def texts():
    """600 short documents over a vocabulary of 200 words, titles on every other one."""
    rng = np.random.default_rng(3)
    words = np.array([f"w{n}" for n in range(200)])
    bodies = [" ".join(rng.choice(words, size=rng.integers(5, 25))) for _ in range(600)]
    return [
        {"title": body.split()[0], "text": body} if i % 2 else body for i, body in enumerate(bodies)
    ]


@pytest.fixture(scope="session")
def scifact():
    """SciFact: ids, documents, the 300 judged queries, and their qrels."""
    if not SCIFACT.is_dir():
        pytest.skip("SciFact is not in ../shared/data/beir")
    documents = [json.loads(line) for line in (SCIFACT / "corpus.jsonl").open(encoding="utf-8")]
    asked = {
        q["_id"]: q["text"]
        for q in map(json.loads, (SCIFACT / "queries.jsonl").open(encoding="utf-8"))
    }
    qrels = {}
    with (SCIFACT / "qrels/test.tsv").open() as file:
        for line in csv.DictReader(file, delimiter="\t"):
            qrels.setdefault(line["query-id"], {})[line["corpus-id"]] = int(line["score"])
    return [d["_id"] for d in documents], documents, {q: asked[q] for q in qrels}, qrels
