"""What must not be shown or kept: keys, and what URLs may hold beside the place they lead to."""

import hashlib
import os
import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, quote, unquote, urlsplit

_URL = re.compile(
    r"(?P<scheme>https?://)(?P<place>[^/?#\s'\"]*)(?P<path>[^?#\s'\"]*)(\?[^\s'\"]*)?(#[^\s'\"]*)?",
    re.IGNORECASE,
)
# The environment's variables whose values are secret, by how providers name them.
_SECRET = re.compile(r"(API_?KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS?|ACCESS_KEY(_ID)?)$")
# Fields of a URL's query that are credentials: another one of them leads to the same model.
_SECRET_FIELD = re.compile(r"key|token|secret|password|pwd|credential|sig|auth|user", re.IGNORECASE)
_SHORTEST = 4  # characters: what is shorter would blank ordinary words
_LONGEST = 300  # characters shown of what a server says


def without_credentials(text: str) -> str:
    """A URL, or a text with URLs in it, without what may be secret:
    name and password, query, fragment.
    """
    return _URL.sub(
        lambda url: f"{url['scheme']}{url['place'].rpartition('@')[2]}{url['path'].rstrip('/')}",
        text,
    )


def of_url(url: str) -> list[str]:
    """Password and query values of a URL."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return []
    password = parts.password or ""
    return [password, unquote(password), *(value for _, value in parse_qsl(parts.query))]


def rest_of_query(url: str) -> str:
    """A digest of what a URL's query holds beside credentials, by the names of its fields; empty
    where it holds nothing else.
    """
    fields = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    other = sorted((name, value) for name, value in fields if not _SECRET_FIELD.search(name))
    return hashlib.sha256(repr(other).encode()).hexdigest()[:16] if other else ""


def of_environment() -> list[str]:
    """The values of the environment's variables that hold keys."""
    return [value for name, value in os.environ.items() if _SECRET.search(name.upper())]


def shown(words: object, secrets: Iterable[str] = ()) -> str:
    """What a server or a client says, without what is secret:
    servers repeat what they were sent.

    Args:
        secrets: those beside the environment's own.
    """
    text = without_credentials(str(words))
    plain = {secret.strip() for secret in (*secrets, *of_environment())}
    written = {form for key in plain for form in (key, quote(key), repr(key)[1:-1])}
    known = {secret for secret in written if len(secret) >= _SHORTEST}
    for secret in sorted(known, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text[:_LONGEST]
