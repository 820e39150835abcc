"""Clients that dawdle, vanish, or send what is no request: the others are answered all the same,
and nothing fails inside the server.
"""

import random
import socket
import struct
import time
from contextlib import suppress

import pytest

from embedlab.serve import guard, running
from tests.embedlab.serve.conftest import serving

SECONDS = 0.5  # that a request may take to come, here
QUESTION = {"query": "w1 w2", "k": 3}
BODY = b'{"query": "w1 w2", "k": 60}'
HEAD = b"POST /search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
SIZED = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY)
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def hurried(dense):
    """A server that waits for no request longer than half a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMBEDLAB_DEBUG", "1")  # what fails inside is said
        for module in (guard, running):
            patch.setattr(module, "SECONDS_TO_SEND", SECONDS)
        with serving(dense) as server:
            server.address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
            server.right = server.client.post("/search", json=QUESTION).json()
            yield server


@pytest.fixture
def answers(hurried, caplog):
    """Asks as everybody does; at the end nothing may have failed inside the server."""

    def ask():
        answer = hurried.client.post("/search", json=QUESTION)
        assert answer.status_code == 200 and answer.json() == hurried.right

    yield ask
    ask()
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []


def heard(connection: socket.socket) -> bytes:
    """What the server says until it closes the connection; fails where it does not."""
    connection.settimeout(20)
    said = b""
    with suppress(ConnectionError):
        while piece := connection.recv(65536):
            said += piece
    connection.close()
    return said


def sent_slowly(connections: list[socket.socket], rounds: int, ask) -> None:
    for _ in range(rounds):
        for connection in connections:
            with suppress(OSError):  # the server has closed it
                connection.send(b"a")
        ask()
        time.sleep(0.05)


def test_64_clients_that_send_byte_by_byte(hurried, answers):
    """In the head of their first request, in a body, and in the head of their second request."""
    connections = [socket.create_connection(hurried.address) for _ in range(64)]
    again = connections[::8]
    for number, connection in enumerate(connections):
        connection.sendall(SIZED + BODY if connection in again else (HEAD, CHUNKED)[number % 2])
    for connection in again:
        connection.settimeout(20)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        connection.sendall(b"GET /health HTTP/1.1\r\nX-Slow: ")
    began = time.monotonic()
    sent_slowly(connections, 16, answers)
    for connection in connections:
        said = heard(connection)
        assert not said or said.startswith((b"HTTP/1.1 408", b"HTTP/1.1 400", b'{"')), said
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("seconds", [0, 0.002, 0.02])
def test_a_client_that_is_gone_before_its_answer(hurried, answers, seconds):
    for _ in range(8):
        connection = socket.create_connection(hurried.address)
        connection.sendall(SIZED + BODY)
        time.sleep(seconds)
        # Reset at once, as a killed process's connection with unread bytes is.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        half = socket.create_connection(hurried.address)
        half.sendall(SIZED + BODY[:9])
        half.close()
    answers()


NO_REQUESTS = [
    bytes(random.Random(0).randbytes(4096)),
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),  # TLS
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\r\n\r\n\r\n\r\n",
    b"GET /search HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET http://[::1 HTTP/1.1\r\nHost: [::1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET /\x00\xff HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    HEAD + b"X: " + b"x" * 200_000 + b"\r\n\r\n",
    HEAD + b"Content-Length: -1\r\n\r\n",
    HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    CHUNKED + b"zz\r\nabc\r\n",
    CHUNKED + b"ffffffffffffffff\r\nabc\r\n",
    SIZED + b"\xff" * len(BODY),
    SIZED[: len(SIZED) // 2],
    b"GET /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
]


def test_what_is_no_request_is_refused(hurried, answers):
    for content in NO_REQUESTS:
        connection = socket.create_connection(hurried.address)
        connection.sendall(content)
        connection.shutdown(socket.SHUT_WR)
        said = heard(connection)
        assert not said or said.startswith(b"HTTP/1.1 4"), (content[:60], said)
        assert b"Traceback" not in said
    answers()
