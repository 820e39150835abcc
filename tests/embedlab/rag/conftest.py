"""A small collection with questions, tiny random language models,
and a server that speaks OpenAI's protocol.
"""

import sys
import threading
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # capitals_server.py, for the tests beside it

from capitals_server import CAPITALS, Server, write

from tests.tiny_models import LLAMA


@pytest.fixture(scope="session")
def capitals(tmp_path_factory):
    """A folder with corpus.jsonl and questions.jsonl:
    one document and one question for each capital.
    """
    folder = tmp_path_factory.mktemp("capitals")
    documents = [
        {"_id": land, "text": f"{city} is the capital of {land}."}
        for land, city in CAPITALS.items()
    ]
    write(folder / "corpus.jsonl", documents)
    asked = [
        {
            "id": f"q{n}",
            "question": f"What is the capital of {land}?",
            "answers": [city],
            "relevant": [land],
        }
        for n, (land, city) in enumerate(CAPITALS.items())
    ]
    write(folder / "questions.jsonl", asked)
    return folder


@pytest.fixture(scope="session")
def index(capitals, tmp_path_factory):
    """The folder of a saved BM25 index of the collection."""
    pytest.importorskip("pyserini", reason="needs the extra lucene")
    from embedlab import corpus_index

    path = tmp_path_factory.mktemp("indexes") / "lucene"
    corpus = corpus_index.read_corpus(capitals)
    corpus_index.build("bm25", corpus.ids, corpus.documents).save(path)
    return path


@pytest.fixture(scope="session")
def language_model(tmp_path_factory):
    """The folder of a random Llama of two layers and 192 positions."""
    import torch

    from embedlab.training.new_base import train_tokenizer, write_random

    texts = [
        f"{city} is the capital of {land}. Question: Answer:" for land, city in CAPITALS.items()
    ]
    torch.manual_seed(0)
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("models") / "talker"
    write_random(
        folder, train_tokenizer(texts * 4, 400), "llama", **LLAMA, max_position_embeddings=192
    )
    return folder


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
