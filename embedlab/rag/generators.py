"""Generators turn a prompt into an answer: a model on this machine, or a server that speaks OpenAI's protocol."""

import re
from dataclasses import dataclass
from typing import Any, Protocol

from embedlab.errors import UserError

_SECRET = re.compile(
    r"(?P<scheme>https?://)(?P<place>[^/?#\s'\"]*)(?P<path>[^?#\s'\"]*)(\?[^\s'\"]*)?(#[^\s'\"]*)?", re.IGNORECASE
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
    """A URL, or a text with URLs in it, without what may be secret: name and password, query, fragment."""
    return _SECRET.sub(lambda url: f"{url['scheme']}{url['place'].rpartition('@')[2]}{url['path'].rstrip('/')}", text)


class Generator(Protocol):
    """name: as shown; identity: changes whenever the answers would; settings: those of it, as recorded.

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


def find(
    spec: str,
    *,
    model: str = "",
    max_tokens: int = 64,
    temperature: float = 0.0,
    device: str | None = None,
    dtype: str = "auto",
    options: dict[str, Any] | None = None,
) -> Generator:
    """The generator that `spec` names.

    Args:
        spec: the URL of an OpenAI-compatible server, such as http://localhost:8000/v1; or a causal language model of
            transformers or a trained GEM, as a local folder, a hub id, or a card's name.
        model: the model's name at the server; may be left out where it serves a single one.
        max_tokens: the most tokens of an answer.
        temperature: 0 takes the likeliest token each time.
        options: further fields of the requests to a server, such as {"reasoning_effort": "low"}.

    Raises:
        UserError: the model is unknown or cannot generate, or the server cannot be reached.
    """
    if spec.lower().startswith(("http://", "https://")):
        from embedlab.rag.server import ServerGenerator

        return ServerGenerator(spec, model, max_tokens, temperature, options)
    if options:
        raise UserError("--generator-option is for a server.", "Leave it out, or name a URL with --generator.")
    from embedlab.rag.local_generator import LocalGenerator

    return LocalGenerator(spec, max_tokens, temperature, device, dtype)
