"""A server whose answers are anything: a RAG run ends with answers or with one message."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from command_line import in_time, run
from hostile import damaged, examples, json_texts, with_another_value
from hypothesis import given
from hypothesis import strategies as st
from test_folders import files, write

from embedlab.errors import UserError
from embedlab.rag import generators

COMPLETION = {
    "id": "1",
    "object": "chat.completion",
    "created": 0,
    "model": "m",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "w4"}}
    ],
    "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6},
}
MODELS = {"object": "list", "data": [{"id": "m", "object": "model", "created": 0, "owned_by": "x"}]}
ERROR = {
    "error": {
        "message": "no",
        "type": "invalid_request_error",
        "param": "max_tokens",
        "code": "unsupported_value",
    }
}


class Anything(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(*self.server.models)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(*self.server.completion)

    def answer(self, status: int, content: bytes):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Retry-After", "0.01")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Anything)
    server.models, server.completion = (
        (200, json.dumps(MODELS).encode()),
        (200, json.dumps(COMPLETION).encode()),
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("embedlab.rag.server._PAUSE", 0.001)
        patch.setattr("embedlab.servers.requests_in_flight._LONGEST_PAUSE", 0.001)
        yield server
    server.shutdown()
    server.server_close()


def encoded(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")


statuses = st.sampled_from([200, 200, 200, 200, 204, 301, 400, 401, 404, 418, 429, 500, 599])
answers = st.one_of(
    with_another_value(COMPLETION),
    json_texts,
    damaged(json.dumps(COMPLETION).encode()),
    with_another_value(ERROR),
).map(encoded)
lists = st.one_of(with_another_value(MODELS), json_texts, damaged(json.dumps(MODELS).encode())).map(
    encoded
)


@examples(40)
@given(status=statuses, answer=answers)
def test_an_answer_is_a_text_or_an_error(server, status, answer):
    server.models, server.completion = (200, json.dumps(MODELS).encode()), (status, answer)
    with in_time(60):
        try:
            found = generators.find(f"http://127.0.0.1:{server.server_port}/v1").generate("x")
        except UserError as error:
            assert str(error) and error.hint
            return
    assert status == 200 and isinstance(found.text, str)
    for count in (found.prompt_tokens, found.answer_tokens):
        assert count is None or (isinstance(count, int) and 0 <= count < 1 << 53)


@examples(20)
@given(status=statuses, answer=lists)
def test_a_list_of_models_names_one_or_is_an_error(server, status, answer):
    server.models = (status, answer)
    with in_time(60):
        try:
            generator = generators.find(f"http://127.0.0.1:{server.server_port}/v1")
        except UserError as error:
            assert str(error) and error.hint
            return
    assert isinstance(generator.name, str) and generator.name


@examples(4)
@given(answer=answers)
def test_a_rag_run_with_such_a_server(server, answer, tmp_path_factory):
    place = tmp_path_factory.mktemp("rag")
    write(place / "corner", files())
    (place / "q.jsonl").write_text('{"id": "1", "question": "w3 w4", "answers": ["w4"]}\n')
    server.models, server.completion = (200, json.dumps(MODELS).encode()), (200, answer)
    url = f"http://127.0.0.1:{server.server_port}/v1"
    done = run(
        "rag", "--retriever", "bm25", "--corpus", place / "corner",
        "--questions", place / "q.jsonl", "--generator", url, "-k", 2, "--json",
    )  # fmt: skip
    if done.code == 0:
        assert all(value is None or 0 <= value <= 1 for value in done.json["scores"].values())
