"""A small collection, and tiny tasks of mteb's with several splits and subsets."""

import random

import pytest

from tests.beir_folder import write_beir
from tests.oracles import task_types

WORDS = [f"w{n}" for n in range(200)]


@pytest.fixture(scope="session")
def corner(tmp_path_factory):
    """A BEIR folder of 30 documents and 8 queries, each a document's beginning."""
    return write_beir(tmp_path_factory.mktemp("beir") / "corner", WORDS, 30, 4)


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
