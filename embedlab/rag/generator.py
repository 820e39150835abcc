"""What a generator is: it turns a prompt into an answer."""

import re
from dataclasses import dataclass
from typing import Any, Protocol

_SECRET = re.compile(
    r"(?P<scheme>https?://)(?P<place>[^/?#\s'\"]*)(?P<path>[^?#\s'\"]*)(\?[^\s'\"]*)?(#[^\s'\"]*)?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Generated:
    """An answer, and the tokens read and written for it; None where a server does not count them.

    cut: whether the answer was still going on when it had all its tokens.
    """

    text: str
    prompt_tokens: int | None
    answer_tokens: int | None
    cut: bool = False


def without_credentials(text: str) -> str:
    """A URL, or a text with URLs in it, without what may be secret:
    name and password, query, fragment.
    """
    return _SECRET.sub(
        lambda url: f"{url['scheme']}{url['place'].rpartition('@')[2]}{url['path'].rstrip('/')}",
        text,
    )


class Generator(Protocol):
    """name: as shown; identity: changes whenever the answers would;
    settings: those of it, as recorded.

    sent: the settings that the model takes, where it does not take all.
    """

    name: str
    identity: str
    settings: dict[str, Any]
    sent: dict[str, Any]

    def fits(self, prompt: str) -> bool:
        """Whether the prompt leaves room for an answer, as far as is known."""

    def generate(self, prompt: str) -> Generated:
        """The answer to a prompt."""
