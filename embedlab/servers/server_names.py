"""Models behind a server by name: `openai:MODEL`, `http://HOST:PORT/v1#MODEL`,
`litellm:PROVIDER/MODEL`.
"""

import os
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from embedlab.errors import UserError
from embedlab.servers.secrecy import without_credentials

EXAMPLES = (
    "openai:text-embedding-3-large, http://localhost:8000/v1#MODEL, litellm:voyage/voyage-3.5"
)
_OPENAI = "https://api.openai.com/v1"
_HERE = ("localhost", "127.0.0.1", "::1")
_NAME = re.compile(r"\s*(https?://|openai:|litellm:)", re.IGNORECASE)


@dataclass(frozen=True)
class Address:
    """Where a model is served.

    route: "openai" (paid for, with its own key), "url" (anybody's server that speaks OpenAI's
    protocol), or "litellm"; url: the protocol's root, empty for litellm; model: its name there.
    """

    route: str
    url: str
    model: str

    @property
    def source(self) -> str:
        """What identifies the model beside its settings."""
        return f"{self.url}#{self.model}" if self.url else f"{self.route}:{self.model}"

    @property
    def place(self) -> str:
        """The server, for messages."""
        return self.url or f"litellm's {self.model.partition('/')[0]}"


def is_url(name: str) -> bool:
    """Whether a name is a server's URL."""
    return name.lower().startswith(("http://", "https://"))


def is_server(name: str) -> bool:
    """Whether a name leads to a model behind a server."""
    return _NAME.match(name) is not None


def address(name: str) -> Address:
    """The address that a name without settings stands for.

    Raises:
        UserError: it names no model, is no URL, or holds a key, which it must not.
    """
    name = name.strip()
    scheme, _, rest = name.partition(":")
    if scheme.lower() == "openai":
        url = (os.environ.get("OPENAI_BASE_URL") or _OPENAI).rstrip("/")
        _check(url, "OPENAI_BASE_URL")
        return Address("openai", url, _model(rest, name))
    if scheme.lower() == "litellm":
        if "/" not in rest:
            raise UserError(f"{name} names no provider.", "Type litellm:PROVIDER/MODEL.")
        return Address("litellm", "", _model(rest, name))
    url, _, model = name.partition("#")
    _check(url, without_credentials(url))
    parts = urlsplit(url.rstrip("/"))  # a host's name is the same in capitals
    url = parts._replace(netloc=parts.netloc.lower()).geturl()
    return Address("url", url, _model(model, without_credentials(url), url))


def elsewhere(name: str) -> str:
    """The address on another machine that a model's name holds; empty where it holds none.

    Raises:
        UserError: as `address`.
    """
    if not is_server(name) or (found := address(name.partition("?")[0])).route != "url":
        return ""
    return "" if urlsplit(found.url).hostname in _HERE else found.url


def refuse_secrets(name: str) -> None:
    """Refuse a name whose URL holds what may be secret.

    Raises:
        UserError: it holds a user's name, a password or a query, or is no URL.
    """
    url = name.strip().partition("#")[0]
    if is_url(url):
        _check(url, without_credentials(url))


def _model(model: str, name: str, url: str = "") -> str:
    if not model.strip():
        hint = f"Type {without_credentials(url)}#MODEL." if url else f"Valid: {EXAMPLES}."
        raise UserError(f"{name} names no model.", hint)
    return model.strip()


def _check(url: str, name: str) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UserError(f"{name} is no URL: {error}.", f"Valid: {EXAMPLES}.") from None
    if not host:
        raise UserError(f"{name} names no host.", f"Valid: {EXAMPLES}.")
    if parts.username or parts.password or parts.query:
        raise UserError(
            f"{name} holds a name, a password or a query, which would be recorded with its scores.",
            "Keys come from the environment alone (OPENAI_API_KEY); settings stand behind the"
            " model: http://HOST:PORT/v1#MODEL?dimensions=256",
        )
