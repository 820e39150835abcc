"""A small collection, and tiny tasks of mteb's with several splits and subsets."""

import json
import random

import numpy as np
import pytest

from tests.oracles import task_types

WORDS = [f"w{n}" for n in range(200)]


@pytest.fixture(scope="session")
def corner(tmp_path_factory):
    """A BEIR folder of 30 documents and 8 queries, each a document's beginning."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("beir") / "corner"
    (folder / "qrels").mkdir(parents=True)
    texts = [" ".join(rng.choice(WORDS, 12)) for _ in range(30)]
    documents = [{"_id": f"d{n}", "title": "", "text": text} for n, text in enumerate(texts)]
    queries = [{"_id": f"q{n}", "text": " ".join(texts[n].split()[:4])} for n in range(8)]
    for name, rows in (("corpus", documents), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    judged = "".join(f"q{n}\td{n}\t1\n" for n in range(8))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + judged)
    return folder


@pytest.fixture(scope="session")
def mirror(tmp_path_factory):
    """A mirror of the tiny tasks that the oracles use: retrieval, reranking, STS."""
    folder = tmp_path_factory.mktemp("mirror")
    for kind in (task_types.kinds()[name] for name in ("retrieval", "reranking", "STS")):
        for subset in kind.subsets or ("",):
            place = folder / kind.task / subset
            place.mkdir(parents=True)
            kind.write(place, random.Random(kind.task))
    return folder


@pytest.fixture
def sentence_model(tiny_folder):
    """The tiny model as sentence-transformers loads it."""
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(tiny_folder), device="cpu")
