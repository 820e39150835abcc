"""Who may ask, how much, and how long the asking may take."""

import socket

import pytest

from embedlab.serve import guard
from tests.embedlab.serve.conftest import serving

TOKEN = "correct horse battery"
SEARCH = {"query": "w1", "k": 1}


def test_names_of_this_machine_alone(tiny_server):
    def status(**headers):
        return tiny_server.client.get("/health", headers=headers).status_code

    port = tiny_server.url.rpartition(":")[2]
    for host in ("localhost", f"localhost:{port}", "127.0.0.1", "[::1]:80", "LOCALHOST"):
        assert status(Host=host) == 200
    for host in ("evil.example", "evil.example:8600", "localhost.evil.example", "127.0.0.1.x",
                 "[", "0.0.0.0", "192.168.1.2", ""):  # fmt: skip
        assert status(Host=host) in (400, 421), host
    assert status(Origin="http://localhost:3000") == 200
    for origin in ("http://evil.example", "https://localhost.evil.example", "null", "http://[x"):
        assert status(Origin=origin) == 403


def test_a_token(dense, capfd):
    with serving(dense, token=TOKEN, host="0.0.0.0") as server:

        def status(path="/search", **headers):
            return server.client.post(path, json=SEARCH, headers=headers).status_code

        assert status() == 200 == status(Authorization=f"bearer {TOKEN}")
        assert status(Host="search.example") == 200, "the token says who may ask"
        for wrong in ("", "Bearer", "Bearer wrong", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}",
                      f"Basic {TOKEN}", TOKEN, "Bearer \xff"):  # fmt: skip
            answer = server.client.post(
                "/search", json=SEARCH, headers={"Authorization": wrong.encode("latin-1")}
            )
            assert answer.status_code == 401 and answer.headers["WWW-Authenticate"] == "Bearer"
            assert TOKEN not in answer.text and "A token is needed" in answer.text
        for path in ("/v1/models", "/openapi.json", "/mcp", "/nowhere"):
            assert server.client.get(path, headers={"Authorization": ""}).status_code == 401
        assert server.client.get("/health", headers={"Authorization": ""}).status_code == 200
    out, err = capfd.readouterr()
    assert "a token is needed" in err and TOKEN not in out + err


def test_a_request_that_is_too_large(tiny_server):
    """Also of a client that does not say how much it will send."""
    large = b'{"query": "' + b"w1 " * (guard.MOST_BYTES // 3) + b'"}'
    for content in (large, iter([large[:100], large[100:], large])):
        answer = tiny_server.client.post("/search", content=content)
        assert answer.status_code == 413 and "larger than 4 MiB" in answer.text
    assert tiny_server.client.post("/search", json=SEARCH).status_code == 200


def test_a_request_that_does_not_end(tiny_server, monkeypatch):
    monkeypatch.setattr(guard, "SECONDS_TO_SEND", 0.3)
    host, _, port = tiny_server.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as slow:
        slow.sendall(
            b"POST /search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b'Content-Length: 100\r\n\r\n{"query":'
        )
        said = slow.makefile().read()  # to the end of the connection
    assert said.startswith("HTTP/1.1 408") and "did not come whole within 0.3 seconds" in said


def test_a_connection_that_asks_nothing_is_closed(dense, monkeypatch):
    from embedlab.serve import running

    monkeypatch.setattr(running, "SECONDS_TO_SEND", 0.3)
    with serving(dense) as server:
        host, _, port = server.url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=10) as idle:
            idle.sendall(b"GET /health HTT")
            assert idle.recv(100) == b""


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "search.example"])
def test_no_other_address_without_a_token(host, dense, refused, monkeypatch):
    monkeypatch.delenv("EMBEDLAB_TOKEN", raising=False)
    err = refused("serve", dense, "--host", host)
    assert f"{host} is open to other machines, and there is no token." in err
    for poor in ("too few", "fifteen letters", "a token with a \n new line"):
        monkeypatch.setenv("EMBEDLAB_TOKEN", poor)
        err = refused("serve", dense, "--host", host)
        assert "EMBEDLAB_TOKEN is shorter than 16" in err and poor not in err
