"""One request to a server that speaks JSON over HTTP."""

import os
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import httpx

from embedlab.errors import UserError
from embedlab.servers import rate_limits
from embedlab.servers.refusals import Refused
from embedlab.servers.secrecy import without_credentials

_SECONDS = 300.0  # until an answer begins, and from there to its end
_TO_CONNECT = 10.0


class Reply(NamedTuple):
    """What came back: the JSON, and the headers in small letters."""

    body: Any
    headers: Mapping[str, str]


class HttpClient:
    """Args:
    url: the protocol's root, such as http://localhost:8000/v1.
    connections: open at once.

    The key, where one is needed, is OPENAI_API_KEY; it goes to this address and nowhere else.

    Raises:
        UserError: it is no URL.
    """

    def __init__(self, url: str, connections: int) -> None:
        key = _key()
        try:
            self._client = httpx.Client(
                base_url=f"{url}/",
                headers={"Authorization": f"Bearer {key}"} if key else {},
                timeout=httpx.Timeout(_SECONDS, connect=_TO_CONNECT),
                limits=httpx.Limits(max_connections=connections),
                # Texts go where the user said, and answers come from there.
                follow_redirects=False,
            )
        except ImportError as error:  # of what a SOCKS proxy of the environment needs
            raise UserError(str(error), "Or unset ALL_PROXY.") from None
        except (httpx.InvalidURL, ValueError) as error:
            raise UserError(f"{without_credentials(url)} is no URL: {error}.") from None

    def post(self, path: str, body: dict[str, Any]) -> Reply:
        """The answer to a request.

        Raises:
            Refused: there is none, or no JSON.
        """
        return self._answer("POST", path, json=body)

    def models(self) -> list[str]:
        """The models that the server lists; empty where it lists none."""
        try:
            rows = self._answer("GET", "models").body["data"]
            return [row["id"] for row in rows if isinstance(row["id"], str)]
        except (Refused, KeyError, TypeError):
            return []

    def _answer(self, method: str, path: str, **content: Any) -> Reply:
        try:
            response, headers = self._whole(method, path, **content)
        except httpx.HTTPError as error:
            raise Refused(str(error) or type(error).__name__) from error
        except UnicodeEncodeError as error:  # half of a surrogate pair
            raise UserError(f"A text cannot be sent: {error}.", "Mend the data set.") from error
        if not response.is_success:
            place = headers.get("location") if response.is_redirect else None
            raise Refused(
                place or words(response),
                response.status_code,
                retry_after=rate_limits.retry_after(headers),
            )
        try:
            return Reply(response.json(), headers)
        except (ValueError, RecursionError) as error:
            raise Refused(f"no JSON ({error})", response.status_code, malformed=True) from error

    def _whole(
        self, method: str, path: str, **content: Any
    ) -> tuple[httpx.Response, dict[str, str]]:
        """A response with its body, and its headers.

        Raises:
            Refused: it does not end: each of its pieces comes in time, and the last one never.
        """
        with self._client.stream(method, path, **content) as response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            until, body = time.monotonic() + _SECONDS, bytearray()
            for piece in response.iter_bytes():
                body += piece
                if time.monotonic() > until:
                    raise Refused(f"an answer that had no end after {_SECONDS:g} seconds")
        kind = {"content-type": headers.get("content-type", "application/json")}
        return httpx.Response(response.status_code, headers=kind, content=bytes(body)), headers


def _key() -> str:
    """The key, without the end of line that a file has.

    Raises:
        UserError: it cannot be a header: whoever tried would show it in the error.
    """
    key = os.environ.get("OPENAI_API_KEY", "").strip()
    if not key.isascii() or not key.isprintable():
        raise UserError(
            "OPENAI_API_KEY holds a character that no key has, such as an end of line.",
            "Set it again in the environment.",
        )
    return key


def words(response: httpx.Response) -> str:
    """What the server says of an error, without the wrapping that each has of its own."""
    try:
        body = response.json()
    except (ValueError, RecursionError):
        return response.text.strip() or response.reason_phrase
    for name in ("error", "message", "detail"):
        if isinstance(body, dict) and body.get(name):
            said = body[name]
            inner = said.get("message") if isinstance(said, dict) else said
            code = said.get("code") if isinstance(said, dict) else None
            return f"{inner} ({code})" if isinstance(code, str) else str(inner)
    return str(body)
