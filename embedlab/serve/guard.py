"""What stands before the server: who may ask, how much, and how long the asking may take."""

import asyncio
import hmac
import ipaddress
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import Response

from leaderboard.plain_json import to_json

MOST_BYTES = 4 << 20  # of a request
_MOST_DROPPED = 64 << 20
SECONDS_TO_SEND = 10.0  # a request
OPEN = "/health"  # asked without a token, by what watches processes

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def refusal(sentence: str, status: int, headers: dict[str, str] | None = None) -> Response:
    """An error as all endpoints have it, and as OpenAI's clients read it."""
    return answer({"error": {"message": sentence, "code": status}}, status, headers)


def answer(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """JSON in ASCII, which holds any text that a corpus may hold."""
    return Response(to_json(body, ascii=True), status, headers, "application/json")


class Guard:
    """Refuses what may not ask, and hands on only requests that have come whole.

    Args:
        app: what answers.
        token: that a request must bear; "" where none is needed.
        is_local: whether the server listens to this machine alone. Then its names are the only ones
            that it is called by: a page of somebody else's, whose name leads here (DNS rebinding),
            is refused.
    """

    def __init__(self, app: App, *, token: str = "", is_local: bool = True) -> None:
        self._app, self._token, self._is_local = app, token.encode(), is_local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1008})
        headers = Headers(scope=scope)
        refused = self._refused(headers, scope["path"])
        if refused is None:
            try:
                async with asyncio.timeout(SECONDS_TO_SEND):
                    body = await _whole(headers, receive)
            except TimeoutError:
                refused = _closing(
                    f"The request did not come whole within {SECONDS_TO_SEND:g} seconds.", 408
                )
            else:
                if body is None:
                    most = f"{MOST_BYTES >> 20} MiB"
                    refused = _closing(f"The request is larger than {most}.", 413)
        if refused is not None:
            return await refused(scope, receive, send)
        await self._app(scope, _again(body or b"", receive), send)

    def _refused(self, headers: Headers, path: str) -> Response | None:
        """The answer to who may not ask; None for all others."""
        if self._is_local:
            if not is_loopback(_host(f"//{headers.get('host', '')}")):
                return _closing("The Host header names another machine than this one.", 421)
            origin = headers.get("origin")
            if origin is not None and not is_loopback(_host(origin)):
                return _closing("Pages of other sites may not ask this server.", 403)
        if not self._token or path == OPEN:
            return None
        kind, _, token = headers.get("authorization", "").partition(" ")
        same = hmac.compare_digest(token.strip().encode("latin-1", "replace"), self._token)
        if kind.lower() == "bearer" and same:
            return None
        return _closing(
            "A token is needed: send the header Authorization: Bearer TOKEN.",
            401,
            {"WWW-Authenticate": "Bearer"},
        )


def is_loopback(host: str) -> bool:
    """Whether a name or an address is this machine, seen from itself."""
    try:
        return host.lower() == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _host(url: str) -> str:
    """The name in a URL, without its port; "" where it is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _closing(sentence: str, status: int, headers: dict[str, str] | None = None) -> Response:
    """A refusal after which the connection ends: whoever it is may not hold it."""
    return refusal(sentence, status, {"Connection": "close", **(headers or {})})


async def _whole(headers: Headers, receive: Receive) -> bytes | None:
    """The body; None where it is too large.

    What is too large is read on and dropped, up to a limit: who is still sending hears no answer.
    """
    if "expect" in headers and _announced(headers) > MOST_BYTES:
        return None  # it asks before it sends
    body, length, more = bytearray(), 0, True
    while more and length <= _MOST_DROPPED:
        message = await receive()
        piece = message.get("body", b"")
        length += len(piece)
        if length <= MOST_BYTES:
            body += piece
        more = message["type"] != "http.disconnect" and message.get("more_body", False)
    return None if length > MOST_BYTES else bytes(body)


def _announced(headers: Headers) -> int:
    length = headers.get("content-length", "")
    return int(length) if length.isdecimal() else 0


def _again(body: bytes, receive: Receive) -> Receive:
    """What `receive` gives whoever reads a body that has been read."""
    is_read = False

    async def read() -> Message:
        nonlocal is_read
        if is_read:
            return await receive()
        is_read = True
        return {"type": "http.request", "body": body, "more_body": False}

    return read
