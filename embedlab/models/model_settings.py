"""Settings of a method, written behind a model's name:
`nv-embed-v2?keep_end=false`, `FOLDER?method=genc&family=phi`.

A model under other settings is another model: it gets a name, vectors and results of its own.
"""

import inspect
import tomllib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from embedlab.errors import UserError, unknown
from embedlab.models.cards import Card

EXAMPLE = "nv-embed-v2?keep_end=false&max_length=512"
# Options of their own, or a fact of the folder.
_ELSEWHERE = {"revision", "device", "dtype", "kind"}


def split(name: str) -> tuple[str, dict[str, Any]]:
    """A model's name, and the settings behind it.

    Raises:
        UserError: a setting that is no `NAME=VALUE`, or comes twice.
    """
    plain, mark, text = name.partition("?")
    settings = {}
    for part in text.split("&") if mark else ():
        key, equals, value = part.partition("=")
        if not (key.isidentifier() and equals and value) or key in settings:
            raise UserError(
                f"{part!r} is no setting of {plain!r}.", f"Type settings as {EXAMPLE}, each once."
            )
        settings[key] = _value(value)
    return plain, settings


def _value(text: str) -> Any:
    """true, false, numbers and lists are read as TOML does; anything else is text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text


def applied(card: Card, settings: dict[str, Any]) -> Card:
    """The card of the model under these settings;
    scores that were published without them are not its own.

    Raises:
        UserError: the method is none, or the model is retrieved or loaded by no method that has
            settings.
    """
    if card.method in ("bm25", "file"):
        raise UserError(f"{card.name} takes no settings.", f"Models of a method do: {EXAMPLE}")
    from embedlab.encoders.methods import registered

    written = "&".join(f"{key}={_written(value)}" for key, value in sorted(settings.items()))
    name = f"{card.name}?{written}"
    own = dict(settings)
    method = own.pop("method", card.method)
    if method not in {*(known := registered()), card.method}:
        raise unknown("method", method, known, f"Valid: {', '.join(known)}.")
    length = own.get("max_length", card.max_length)
    return replace(
        card,
        name=name,
        method=method,
        settings={**card.settings, **own},
        max_length=length,
        published=[],
    )


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def check(model: str, method: str, loader: Callable[..., Any], settings: dict[str, Any]) -> None:
    """Refuse settings that the method's loader does not have.

    Raises:
        UserError: names the setting and the valid ones.
    """
    parameters = inspect.signature(loader).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return  # it says itself what it does not know
    valid = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in _ELSEWHERE]
    if wrong := [key for key in settings if key not in valid]:
        raise unknown(
            f"setting of the method {method} ({model})",
            wrong[0],
            valid,
            f"Valid: {', '.join(valid)}.",
        )
