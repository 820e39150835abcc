"""What each option of `embedlab serve` changes."""

import socket
from threading import Thread
from time import monotonic, sleep

import httpx
import pytest

pytest.importorskip("mcp", reason="needs the extra serve")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def serve(ok, home, capfd, monkeypatch):
    """Type `embedlab serve` with options, ask what it serves, and end it.

    No signal ends it: one that reaches this process, which holds a JVM and pytest's own handlers,
    has been its death.
    """
    from embedlab.serve import running

    made, servers = running.server, []

    def kept(*arguments):
        servers.append(made(*arguments))
        return servers[-1]

    monkeypatch.setattr(running, "server", kept)

    def served(*words, ask, host="127.0.0.1", headers=None):
        port, answers = free_port(), []

        def client():
            try:
                url, until = f"http://{host}:{port}", monotonic() + 60
                while monotonic() < until:
                    try:
                        httpx.get(f"{url}/health")
                        break
                    except httpx.TransportError:
                        sleep(0.02)
                with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
                    answers.append(ask(client))
            finally:
                servers[-1].should_exit = True

        thread = Thread(target=client)
        thread.start()
        ok("serve", *words, "--port", port)
        thread.join()
        return answers[0]

    return served


@pytest.fixture
def index(ok, corner, tiny_folder, tmp_path):
    ok(
        "index", "--model", tiny_folder, "--docs", corner, "--out", tmp_path / "index",
        "--dtype", "float32",
    )  # fmt: skip
    return tmp_path / "index"


def scores(client, query="w1 w2", k=5):
    answer = client.post("/search", json={"query": query, "k": k})
    return [row["score"] for row in answer.json()["results"]] if answer.is_success else answer.text


@pytest.mark.effect("serve --port", "serve --max-k", "serve --timeout", "serve --batch")
def test_limits(serve, refused, index, monkeypatch):
    assert len(serve(index, ask=scores)) == 5
    assert "this server gives 1 to 4" in serve(index, "--max-k", 4, ask=scores)
    assert "no answer within 0 seconds" in serve(index, "--timeout", 0, ask=scores)
    assert "Give one to 65535" in refused("serve", index, "--port", 65536)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"Type another: --port {port + 1}" in refused("serve", index, "--port", port)

    from embedlab.serve.served_index import ServedIndex

    passes, compute = [], ServedIndex._compute

    def counted(self, kind, texts):
        passes.append(len(texts))
        return compute(self, kind, texts)

    monkeypatch.setattr(ServedIndex, "_compute", counted)

    def embed(client):
        model = client.get("/v1/models").json()["data"][0]["id"]
        client.post("/v1/embeddings", json={"model": model, "input": ["w1"] * 5})

    for options, sizes in (
        ((), [5]),
        (("--batch", 2), [2, 2, 1]),
        (("--dtype", "bfloat16"), [1] * 5),
    ):
        serve(index, *options, ask=embed)
        assert passes == sizes
        passes.clear()


@pytest.mark.effect("serve --host")
def test_another_address(serve, index, monkeypatch):
    token = "a token of some length"
    monkeypatch.setenv("EMBEDLAB_TOKEN", token)
    bearer = {"Authorization": f"Bearer {token}"}
    assert (
        len(serve(index, "--host", "127.0.0.2", ask=scores, host="127.0.0.2", headers=bearer)) == 5
    )
    assert "A token is needed" in serve(index, "--host", "0.0.0.0", ask=scores)


@pytest.mark.effect("serve --dtype", "serve --device", "serve --model")
def test_loading(serve, refused, index, tiny_folder, tmp_path):
    whole = serve(index, "--device", "cpu", "--model", tiny_folder, ask=scores)
    assert serve(index, "--dtype", "bfloat16", ask=scores) != whole
    assert "cuda:99" in refused("serve", index, "--device", "cuda:99")
    assert "No index here was built with bm25" in refused("serve", index, "--model", "bm25")
