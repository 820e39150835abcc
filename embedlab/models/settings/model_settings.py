"""Settings of a model, written behind its name: `nv-embed-v2?keep_end=false`,
`all-minilm-l6-v2?max_length=128&prompt.query="query: "`, `FOLDER?method=genc&family=phi`.

Those that every model may have are declared in `common_settings`; the others are keyword arguments
of its method's loader. A model under other settings is another model: it gets a name, vectors and
results of its own. The order in which they are written is none of them.
"""

import inspect
import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from embedlab.errors import UserError, unknown
from embedlab.models import backends, quoted
from embedlab.models.cards import Card
from embedlab.models.settings import common_settings

EXAMPLE = "nv-embed-v2?keep_end=false&max_length=512"
# Settings of their own, or a fact of the folder.
_ELSEWHERE = {"revision", "device", "dtype", "kind"}
_BM25 = ("b", "k1")
_KEY = re.compile(r"[A-Za-z_]\w*(\.[\w.() -]*\w\)?)?")
_PLAIN = re.compile(r"[\w./:+@<>,\[\] -]*[\w./:+@<>\]]")  # what needs no quotes


def split(name: str) -> tuple[str, dict[str, Any]]:
    """A model's name, and the settings behind it; `NAME@onnx` stands for `NAME?backend=onnx`.

    Raises:
        UserError: a setting that is no `NAME=VALUE`, or comes twice.
    """
    plain, mark, text = name.partition("?")
    plain, backend = backends.split(plain)
    settings: dict[str, Any] = {"backend": backend} if backend else {}
    for part in quoted.split(text, "&") if mark else ():
        key, equals, value = part.partition("=")
        if not (_KEY.fullmatch(key) and equals and value) or key in settings:
            raise UserError(
                f"{part!r} is no setting of {plain!r}.", f"Type settings as {EXAMPLE}, each once."
            )
        settings[key] = _value(key, value)
    return plain, settings


def _value(key: str, text: str) -> Any:
    """true, false, numbers, lists and quoted text are read as TOML does; anything else is text.

    What is text by its nature stays text: a revision of digits alone is no number.
    """
    if text.startswith('"') or not common_settings.is_text(key):
        try:
            return tomllib.loads(f"value = {text}")["value"]
        except (ValueError, RecursionError):
            pass
    if common_settings.is_sentence(key):
        raise UserError(
            f"The text {text!r} stands without quotes, where a space at its end would be lost.",
            f"Type: {key}={json.dumps(text, ensure_ascii=False)}",
        )
    return text


def written(settings: Mapping[str, Any]) -> str:
    """The settings as one types them, by their names: `split` reads them back."""
    return "&".join(f"{key}={_written(key, value)}" for key, value in sorted(settings.items()))


def named(plain: str, settings: Mapping[str, Any]) -> str:
    """The model's name with its backend and its other settings behind it."""
    rest = written({key: value for key, value in settings.items() if key != "backend"})
    backend = f"@{settings['backend']}" if "backend" in settings else ""
    return plain + backend + (f"?{rest}" if rest else "")


def _written(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    in_quotes = common_settings.is_sentence(key)
    if isinstance(value, str) and (in_quotes or not _PLAIN.fullmatch(value)):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def applied(card: Card, settings: Mapping[str, Any]) -> Card:
    """The card of the model under these settings;
    scores that were published without them are not its own.

    Raises:
        UserError: the method is none, or a setting has no value of its kind, or no effect on the
            model.
    """
    if card.method == "bm25":
        settings = {key: _as_float(value) for key, value in settings.items()}  # 1 and 1.0 are one
    name = named(card.name, settings)
    changed_name: dict[str, Any] = {
        "name": name,
        "origin": card.origin or card.name,
        "published": [],
    }
    if card.method == "bm25":
        return replace(card, **changed_name, settings={**card.settings, **_of_bm25(card, settings)})
    own = dict(settings)
    method = own.pop("method", card.method)
    if method != card.method:
        from embedlab.encoders.methods import registered

        if method not in (known := registered()):
            raise unknown("method", method, known, f"Valid: {', '.join(known)}.")
    changed = replace(card, **changed_name, method=method, chosen={**card.chosen, **own})
    # Of the rest only the loader tells whether it is its own: `divided` asks it.
    certain = {
        key: value
        for key, value in own.items()
        if method == "sentence-transformers" or common_settings.is_never_a_loaders(key)
    }
    common_settings.check_values(certain)
    common_settings.refuse_unfit(changed, certain)
    return common_settings.on_card(changed, own)


def _as_float(value: Any) -> Any:
    return float(value) if type(value) is int and abs(value) < 1e9 else value


def _of_bm25(card: Card, settings: Mapping[str, Any]) -> dict[str, float]:
    if "backend" in settings:
        raise UserError(
            "bm25 counts words: it has no transformer that another backend could run.",
            "Leave the backend out; all-minilm-l6-v2@onnx has one.",
        )
    for key, value in settings.items():
        if key not in _BM25:
            raise unknown(
                "setting of bm25", key, _BM25, "Valid: k1 and b, as in bm25?k1=1.2&b=0.75"
            )
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1000:
            raise UserError(f"bm25 has {key}={value!r}.", "Give a number from 0, such as 0.9.")
    if same := [key for key, value in settings.items() if card.settings.get(key) == value]:
        raise UserError(f"{same[0]}={settings[same[0]]} is what bm25 has anyway.", "Leave it out.")
    return {key: float(value) for key, value in settings.items()}


def divided(card: Card, loader: Callable[..., Any] | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings that were chosen for a model: those of its method's loader, and the common ones.

    A loader that has a setting of a common one's name gets it itself.

    Args:
        loader: None where the model has no method, and takes common settings alone.

    Raises:
        UserError: neither has it; names the valid ones.
    """
    names = _of_loader(card, loader) if loader else []
    takes_any = loader is not None and any(
        p.kind is p.VAR_KEYWORD for p in inspect.signature(loader).parameters.values()
    )
    own, common = {}, {}
    for key, value in card.chosen.items():
        if key in names:
            own[key] = value
        elif common_settings.is_common(key):
            common[key] = value
        elif takes_any and card.method != "sentence-transformers":
            own[key] = value  # it says itself what it does not know
        else:
            valid = [*names, *common_settings.fitting(card)]
            by = f" of the method {card.method}" if loader else ""
            raise unknown(f"setting{by} ({card.name})", key, valid, f"Valid: {', '.join(valid)}.")
    common_settings.check_values(common)
    return own, common


def _of_loader(card: Card, loader: Callable[..., Any]) -> list[str]:
    parameters = inspect.signature(loader).parameters.values()
    names = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in _ELSEWHERE]
    if card.method == "sentence-transformers":  # it leaves the lengths to what all models share
        names = [name for name in names if not common_settings.is_common(name)]
    return names
