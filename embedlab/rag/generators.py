"""Generators by name: a model on this machine, or a server that speaks OpenAI's protocol."""

from typing import Any

from embedlab.errors import UserError
from embedlab.rag.generator import Generator
from embedlab.servers.server_names import is_url
from embedlab.spending import Purse


def find(
    spec: str,
    *,
    model: str = "",
    max_tokens: int = 64,
    temperature: float = 0.0,
    device: str | None = None,
    dtype: str = "auto",
    options: dict[str, Any] | None = None,
    in_flight: int = 16,
    purse: Purse | None = None,
    lines: int | None = 1,
) -> Generator:
    """The generator that `spec` names.

    Args:
        spec: the URL of an OpenAI-compatible server, such as http://localhost:8000/v1 or
            http://localhost:8000/v1#MODEL; or a base (`smollm2-135m`), another causal language
            model of transformers or a trained GEM, as a local folder, a hub id, or a card's name.
        model: the model's name at the server; may be left out where it serves a single one.
        max_tokens: the most tokens of an answer.
        temperature: 0 takes the likeliest token each time.
        options: further fields of the requests to a server, such as {"reasoning_effort": "low"}.
        in_flight: requests to a server at once.
        purse: what pays for them.
        lines: that a base model writes: it knows no end of an answer; None: all up to its end.

    Raises:
        UserError: the model is unknown or cannot generate, or the server cannot be reached.
    """
    if is_url(spec):
        from embedlab.rag.server import ServerGenerator

        url, _, named = spec.partition("#")
        return ServerGenerator(
            url, model or named, max_tokens, temperature, options, in_flight, purse
        )
    if options:
        raise UserError(
            "--generator-option is for a server.", "Leave it out, or name a URL with --generator."
        )
    from embedlab.rag.local_generator import LocalGenerator

    return LocalGenerator(spec, max_tokens, temperature, device, dtype, lines)
