"""Servers as they are: answers that are none, thoughts,
cut answers, settings not taken, secrets in URLs.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from embedlab.errors import UserError
from embedlab.rag import generators
from embedlab.servers.secrecy import without_credentials


def completion(content="statins", finish="stop", **more):
    message = {"role": "assistant", "content": content}
    return {
        "id": "1", "object": "chat.completion", "created": 0, "model": "m",
        "choices": [{"index": 0, "finish_reason": finish, "message": message}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}, **more,
    }  # fmt: skip


class Odd(ThreadingHTTPServer):
    """Answers each request with the next of `answers`
    (status, body), the last one again and again.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), OddHandler)
        self.answers, self.requests, self.headers = [(200, completion())], [], []
        self.url, self.location = f"http://127.0.0.1:{self.server_port}/v1", ""


class OddHandler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send(
            200,
            {
                "object": "list",
                "data": [{"id": "m", "object": "model", "created": 0, "owned_by": "x"}],
            },
        )

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(request)
        self.server.headers.append((self.path, self.headers))
        answers = self.server.answers
        status, body = answers.pop(0) if len(answers) > 1 else answers[0]
        status, body = (status, body(request)) if callable(body) else (status, body)
        self.send(
            status if not isinstance(body, tuple) else body[0],
            body if not isinstance(body, tuple) else body[1],
        )

    def send(self, status, body):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header(
            "Content-Type", "text/html" if content.startswith(b"<") else "application/json"
        )
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Retry-After", "0.01")
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def odd(monkeypatch):
    monkeypatch.setattr("embedlab.rag.server._PAUSE", 0.01)
    monkeypatch.setattr("embedlab.servers.requests_in_flight._LONGEST_PAUSE", 0.01)
    server = Odd()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


NONE = {
    "no choices": {**completion(), "choices": []},
    "null choices": {**completion(), "choices": None},
    "an error as an answer": {"error": {"message": "upstream overloaded", "code": 502}},
    "no message": {
        **completion(),
        "choices": [{"index": 0, "finish_reason": "stop", "message": None}],
    },
    "no text": completion(None),
    "a call of a tool": completion(None, "tool_calls"),
    "filtered": completion(None, "content_filter"),
    "a text that is a number": completion(42),
    "a text that is a table": completion({"text": "statins"}),
    "choices that are a table": {**completion(), "choices": {"0": 1}},
    "choices that are a text": {**completion(), "choices": "x"},
    "a choice that is a text": {**completion(), "choices": ["x"]},
    "a message that is a text": {**completion(), "choices": [{"index": 0, "message": "statins"}]},
    "null choice": {**completion(), "choices": [None]},
    "a page": b"<html>gateway</html>",
    "half an answer": b'{"id": "1", "choices": [{"ind',
    "nothing": b"",
    "a number": 7,
    "a list": [completion()],
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("kind", NONE)
def test_an_answer_that_is_none_is_asked_for_again_and_then_an_error(kind, odd):
    generator = generators.find(odd.url)
    odd.answers = [(200, NONE[kind])]
    with pytest.raises(UserError, match="gave no answer") as caught:
        generator.generate("x")
    assert len(odd.requests) == 3 and caught.value.hint
    odd.answers = [(200, NONE[kind]), (200, completion())]
    assert generator.generate("x").text == "statins"


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (completion("<think>\nthe user wants\n</think>\n\nstatins"), "statins"),
        (completion("<think>\nthe user wants", "length"), ""),
        (
            completion([{"type": "text", "text": "sta"}, {"type": "text", "text": "tins"}]),
            "statins",
        ),
        (completion(None, "length"), ""),
        (completion(""), ""),
        (completion("the user wants\n</think>\n\nstatins"), "statins"),
        (completion("sta\ud800tins"), "sta?tins"),
        (
            completion([{"type": "text", "text": 5}, {"type": "text", "text": "statins"}, 7]),
            "statins",
        ),
        (completion(usage="many"), "statins"),
        (
            completion(
                usage={"prompt_tokens": "many", "completion_tokens": -5, "total_tokens": 10**30}
            ),
            "statins",
        ),
        (completion(usage=None), "statins"),
        (
            completion(
                usage={"prompt_tokens": None, "completion_tokens": None, "total_tokens": None}
            ),
            "statins",
        ),
        (completion(usage={"total_tokens": 6}), "statins"),
    ],
)
def test_answers_in_other_forms(answer, text, odd):
    odd.answers = [(200, answer)]
    assert generators.find(odd.url).generate("x").text == text


@pytest.mark.parametrize("status", [429, 500, 503, 408])
def test_a_request_refused_for_the_moment_is_sent_again(status, odd):
    odd.answers = [(status, {"error": {"message": "slow down"}})] * 2 + [(200, completion())]
    assert generators.find(odd.url).generate("x").text == "statins" and len(odd.requests) == 3
    odd.answers = [(status, {"error": {"message": "slow down"}})]
    with pytest.raises(UserError, match=rf"{status} slow down"):
        generators.find(odd.url).generate("x")


def unsupported(name, code):
    def answer(request):
        if name in request:
            error = {"message": f"'{name}' is not supported", "param": name, "code": code}
            return 400, {"error": {**error, "type": "invalid_request_error"}}
        return 200, completion()

    return answer


def test_models_that_take_no_max_tokens_or_no_temperature_are_usable(odd):
    odd.answers = [(200, unsupported("max_tokens", "unsupported_parameter"))]
    generator = generators.find(odd.url, max_tokens=9)
    assert [generator.generate("x").text for _ in range(2)] == ["statins", "statins"]
    assert [request.get("max_completion_tokens") for request in odd.requests] == [None, 9, 9]
    assert generator.settings["max_tokens"] == 9 and generator.sent == {
        "temperature": 0.0,
        "max_completion_tokens": 9,
    }
    odd.answers = [(200, unsupported("temperature", "unsupported_value"))]
    assert generators.find(odd.url).generate("x").text == "statins"


def test_a_refusal_is_an_answer(odd):
    refusal = completion(None)
    refusal["choices"][0]["message"]["refusal"] = "I cannot say"
    odd.answers = [(200, refusal)]
    assert generators.find(odd.url).generate("x").text == "I cannot say"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_nobody_is_sent_on_to_another_server(status, odd):
    other = Odd()
    threading.Thread(target=other.serve_forever, daemon=True).start()
    odd.location = other.url
    odd.answers = [(status, b"")]
    with pytest.raises(UserError, match=f"sends the request on to {other.url}"):
        generators.find(odd.url).generate("x")
    assert not other.requests
    other.shutdown()
    other.server_close()


def test_a_server_that_repeats_what_is_secret_is_not_quoted(odd, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-verysecret")
    words = "Wrong key sk-verysecret of hunter2: http://me:hunter2@host/x?key=hidden, hidden"
    for answer in (
        (401, {"error": {"message": words}}),
        (200, {"error": words}),
        (200, words.encode()),
    ):
        odd.answers = [answer]
        with pytest.raises(UserError) as caught:
            generators.find(odd.url.replace("//", "//me:hunter2@") + "?key=hidden").generate("x")
        assert not any(
            secret in str(caught.value) for secret in ("sk-verysecret", "hunter2", "hidden")
        )


@pytest.mark.effect("rag --generator-option")
def test_credentials_of_a_url_go_to_the_server_and_nowhere_else(odd, cli, home, tmp_path):
    import duckdb

    import retrievers

    retrievers.make("lucene").index(["d1"], ["statins lower cholesterol"]).save(tmp_path / "index")
    (tmp_path / "q.jsonl").write_text(
        '{"id": "1", "question": "which drug", "answers": ["statins"]}\n'
    )
    url = odd.url.replace("http://", "http://me:s3cret@") + "?api-key=hidden"
    rag = (
        "rag", "--retriever", tmp_path / "index", "--questions", tmp_path / "q.jsonl",
        "--generator", url, "-k", 1,
    )  # fmt: skip
    code, out, err = cli(
        *rag, "--json", "--generator-option", "top_p=0.5", "--generator-option", "user=a"
    )
    assert code == 0, err
    path, headers = odd.headers[0]
    assert path.endswith("?api-key=hidden") and headers["Authorization"].startswith("Basic ")
    assert odd.requests[0]["top_p"] == 0.5 and odd.requests[0]["user"] == "a"
    (run,) = cli("runs", "show", json.loads(out)["run_id"], "--json")[1:2]
    assert "top_p" in run
    odd.answers = [(401, {"error": {"message": "no"}})]
    (tmp_path / "q.jsonl").write_text(
        '{"id": "2", "question": "another", "answers": ["statins"]}\n'
    )
    code, more, problem = cli(*rag)
    assert code == 2 and "401" in problem
    for form in ("parquet", "csv"):
        assert cli("export", tmp_path / "out", "-f", form)[0] == 0
    files = [
        file.read_bytes()
        for file in [*home.rglob("*"), *(tmp_path / "out").rglob("*")]
        if file.is_file()
    ]
    assert any(file.suffix == ".csv" for file in (tmp_path / "out").rglob("*"))
    for secret in ("s3cret", "hidden"):
        assert secret not in out + err + run + more + problem
        assert not any(secret.encode() in content for content in files)
    with duckdb.connect(str(home / "results.duckdb"), read_only=True) as store:
        # Compressed columns hide from a search.
        for (table,) in store.sql("SELECT table_name FROM information_schema.tables").fetchall():
            assert "s3cret" not in str(store.table(table).fetchall()), table


def test_a_cut_answer_is_marked_and_asked_for_again(odd, cli, home, tmp_path):
    import retrievers

    retrievers.make("lucene").index(["d1"], ["statins lower cholesterol"]).save(tmp_path / "index")
    (tmp_path / "q.jsonl").write_text(
        '{"id": "1", "question": "which drug", "answers": ["statins"]}\n'
    )
    rag = (
        "rag", "--retriever", tmp_path / "index", "--questions", tmp_path / "q.jsonl",
        "--generator", odd.url, "-k", 1,
    )  # fmt: skip
    odd.answers = [(200, completion("statins an", "length"))]
    code, out, err = cli(*rag, "--json")
    found = json.loads(out)
    assert (
        code == 0
        and found["costs"]["answers_cut"] == 1
        and found["questions"][0]["costs"]["cut"] == 1
    )
    assert "1 answers were cut off at 64 tokens" in err
    odd.answers = [(200, completion())]
    found = json.loads(cli(*rag, "--json")[1])
    assert found["questions"][0]["answer"] == "statins" and "answers_cut" not in found["costs"]
    cli(*rag)
    assert len(odd.requests) == 2  # the whole answer is kept


@pytest.mark.parametrize("url", ["http://", "http://[bad", "https://host:port/v1", "HTTP:///v1"])
def test_addresses_that_are_none(url):
    with pytest.raises(UserError) as caught:
        generators.find(url, model="m")
    assert caught.value.hint


def test_what_is_secret_in_a_url_is_left_out():
    assert without_credentials("https://me:pw@host:8000/v1/?key=1#x") == "https://host:8000/v1"
    assert (
        without_credentials("no answer from http://a:b@c/v1 (x)")
        == "no answer from http://c/v1 (x)"
    )
    assert without_credentials("Qwen/Qwen3-0.6B") == "Qwen/Qwen3-0.6B"
