"""The server process: where it listens, how it ends."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from embedlab.errors import UserError
from embedlab.serve.guard import SECONDS_TO_SEND, Guard, is_loopback
from embedlab.serve.http_api import api
from embedlab.serve.served_index import ServedIndex
from embedlab.terminal import echo

_SHORTEST_TOKEN = 16
_SECONDS_TO_END = 10  # for the answers under way


def token_for(host: str) -> str:
    """The token that requests must bear: EMBEDLAB_TOKEN of the environment; "" where none is set
    and the server listens to this machine alone.

    Raises:
        UserError: there is none and `host` is open to others, or it is no good one.
    """
    token = os.environ.get("EMBEDLAB_TOKEN", "").strip()
    if not token and not is_loopback(host):
        raise UserError(
            f"{host} is open to other machines, and there is no token.",
            "Set one in the environment: export EMBEDLAB_TOKEN=$(openssl rand -hex 32)",
        )
    if token and (len(token) < _SHORTEST_TOKEN or not (token.isascii() and token.isprintable())):
        raise UserError(
            f"EMBEDLAB_TOKEN is shorter than {_SHORTEST_TOKEN} characters, or holds one that no"
            " header takes.",
            "Set a better one: export EMBEDLAB_TOKEN=$(openssl rand -hex 32)",
        )
    return token


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens at the address, before models are loaded for it.

    Raises:
        UserError: it cannot be had.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=1024)
    except OSError as error:
        hint = f"Type another: --port {port + 1 if port < 65535 else 8600}"
        raise UserError(f"{host}:{port} cannot be had: {error.strerror}.", hint) from None


def run(index: ServedIndex, listener: socket.socket, host: str, token: str) -> None:
    """Serve until Ctrl-C or SIGTERM; answers under way are finished then."""
    with _signals_end_nothing_else():
        server(index, listener, host, token).run([listener])


def server(index: ServedIndex, listener: socket.socket, host: str, token: str) -> uvicorn.Server:
    """What serves the index once it is run."""
    guarded = Guard(api(index), token=token, is_local=is_loopback(host))
    config = uvicorn.Config(
        guarded,
        http=_Connection,
        ws="none",
        log_config=None,
        log_level="info" if os.environ.get("EMBEDLAB_DEBUG") else "critical",
        access_log=False,  # of what people ask
        server_header=False,
        timeout_graceful_shutdown=_SECONDS_TO_END,
    )
    place = f"[{host}]" if ":" in host else host
    port = listener.getsockname()[1]
    needed = ", a token is needed" if token else ""
    line = f"Serving {index.name} at http://{place}:{port}{needed}. Ctrl-C ends it."
    return _Server(config, lambda: echo(line, err=True))


@contextmanager
def _signals_end_nothing_else() -> Iterator[None]:
    """uvicorn sends itself again, at its end, the signals that it got: here they have done all
    that they should.
    """
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: None) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Server(uvicorn.Server):
    """uvicorn's, which says in a line when it begins and when it ends."""

    def __init__(self, config: uvicorn.Config, begun: Callable[[], None]) -> None:
        super().__init__(config)
        self._begun = begun

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._begun()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if not self.should_exit:
            echo("\nStopping: answers under way are finished first.", err=True)
        super().handle_exit(sig, frame)


class _Connection(H11Protocol):
    """uvicorn's, which does not wait for ever for the head of a request, be it the first or one
    that follows an answer.
    """

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.loop.call_later(SECONDS_TO_SEND, self._close_unasked, None)

    def on_response_complete(self) -> None:
        answered = self.cycle
        super().on_response_complete()  # it may begin with a request that came meanwhile
        self.loop.call_later(SECONDS_TO_SEND, self._close_unasked, answered)

    def _close_unasked(self, answered: Any) -> None:
        """Close where no request has followed that one, or the beginning of the connection."""
        if self.cycle is answered and not self.transport.is_closing():
            self.transport.close()
