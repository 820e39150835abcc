"""A small collection with questions, tiny random language models, and a server that speaks OpenAI's protocol."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

CAPITALS = {
    "France": "Paris", "Italy": "Rome", "Spain": "Madrid", "Austria": "Vienna", "Norway": "Oslo", "Greece": "Athens",
    "Japan": "Tokyo", "Peru": "Lima", "Kenya": "Nairobi", "Egypt": "Cairo", "Cuba": "Havana", "Chad": "N'Djamena",
}  # fmt: skip


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="session")
def capitals(tmp_path_factory):
    """A folder with corpus.jsonl and questions.jsonl: one document and one question for each capital."""
    folder = tmp_path_factory.mktemp("capitals")
    documents = [{"_id": land, "text": f"{city} is the capital of {land}."} for land, city in CAPITALS.items()]
    write(folder / "corpus.jsonl", documents)
    asked = [
        {"id": f"q{n}", "question": f"What is the capital of {land}?", "answers": [city], "relevant": [land]}
        for n, (land, city) in enumerate(CAPITALS.items())
    ]
    write(folder / "questions.jsonl", asked)
    return folder


@pytest.fixture(scope="session")
def index(capitals, tmp_path_factory):
    """The folder of a saved BM25 index of the collection."""
    pytest.importorskip("pyserini", reason="needs the extra lucene")
    from embedlab import indexes

    path = tmp_path_factory.mktemp("indexes") / "lucene"
    indexes.build("bm25", *indexes.read_corpus(capitals)).save(path)
    return path


@pytest.fixture(scope="session")
def language_model(tmp_path_factory):
    """The folder of a random Llama of two layers and 256 positions."""
    import torch

    from embedlab.training.base import train_tokenizer, write_random

    texts = [f"{city} is the capital of {land}. Question: Answer:" for land, city in CAPITALS.items()]
    torch.manual_seed(0)
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("models") / "talker"
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    write_random(folder, train_tokenizer(texts * 4, 400), "llama", **sizes, max_position_embeddings=256)
    return folder


class Server(ThreadingHTTPServer):
    """Answers with the first word of the first document; keeps the requests, and fails or hangs where told to."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.models, self.requests, self.fail_from, self.hang_from = ["reader"], [], None, None
        self.hanging, self.url = threading.Event(), f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(200, {"object": "list", "data": [{"id": name, "object": "model"} for name in self.server.models]})

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        number = len(self.server.requests)
        self.server.requests.append(request)
        if self.server.hang_from is not None and number >= self.server.hang_from:
            self.server.hanging.set()
            threading.Event().wait(20)
            return
        if self.server.fail_from is not None and number >= self.server.fail_from:
            self.answer(400, {"error": {"message": "the context is too long"}})
            return
        words = re.search(r"\[1\] (\S+)", request["messages"][0]["content"])
        message = {"role": "assistant", "content": f" {words[1]}." if words else "unknown"}
        self.answer(
            200,
            {
                "id": "1", "object": "chat.completion", "created": 0, "model": request["model"],
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 30, "completion_tokens": 3, "total_tokens": 33},
            },
        )  # fmt: skip

    def answer(self, code, body):
        content = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
