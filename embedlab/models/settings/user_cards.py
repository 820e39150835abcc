"""Cards of the user's: a name for a model under settings, as a TOML file.

    EMBEDLAB_HOME/models/my-minilm.toml, or FILE.toml in a model's place

    model = "all-minilm-l6-v2"             # anything that --model takes, of one model
    max_length = 128                       # any of embedlab.models.settings.common_settings
    instruction = "Instruct: {instruction}\\nQuery: "

    [prompts]                              # by role, task type or task
    query = "query: "
    "SciFact-query" = "Is this claim true? "

    [settings]                             # of the model's method
    keep_end = false

Its name is the file's without the ending.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from embedlab import toml_files
from embedlab.errors import UserError, unknown
from embedlab.models import backends
from embedlab.models.cards import Card, cards
from embedlab.models.settings import common_settings, model_settings
from embedlab.resources import home

_WORDS = ("description", "licence", "notes", "paper")  # what a card may say beside
_NAME = re.compile(r"\w[\w.-]*")  # what no expression reads as more than a name
_KEYS = ("model", *_WORDS, "prompts", "settings", *common_settings.COMMON)


def named() -> dict[str, Path]:
    """The cards in EMBEDLAB_HOME/models by their names."""
    return {path.stem: path for path in sorted((home() / "models").glob("*.toml"))}


def file_of(name: str) -> Path | None:
    """The card that a model's name, without settings behind it, stands for; None for another."""
    if name.endswith(".toml"):
        return Path(name)
    return named().get(name) if name else None


def found(name: str, find: Callable[[str], Card]) -> Card | None:
    """The card of the model that a card of the user's describes, under further settings behind the
    name; None for another name.

    Args:
        find: gives the card of a model by its name and settings.

    Raises:
        UserError: the file is not there or no card, has the name of another model, or a setting
            without effect.
    """
    plain, settings = _split(name)
    file = file_of(plain)
    if file is None:
        return None
    if file.stem in {*cards(), *(card.group for card in cards().values())}:
        raise UserError(
            f"{file} has the name of a model that embedlab knows.", "Give the file another name."
        )
    if not _NAME.fullmatch(file.stem):
        raise UserError(
            f"A model cannot be called {file.stem!r}.",
            f"Give the file {file} a name of letters, digits, '.', '_' and '-'.",
        )
    said = _read(file)
    for key, value in settings.items():
        if _settings(said).get(key) == value:
            raise UserError(f"{key} behind {plain} is what the card says anyway.", "Leave it out.")
    spelled = _spelled(name)
    try:
        card = find(spelled)
    except UserError as error:
        raise UserError(f"The card {file}: {error}", error.hint) from error
    name = model_settings.named(file.stem, settings)
    own = {word: said[word] for word in _WORDS if word in said}
    origin = card.origin or card.name
    return replace(card, name=name, origin=origin, file=str(file), **own)


def by_settings(name: str) -> str:
    """The name under which a saved index looks for its model again: in place of a card of the
    user's, which may change or go, the model and its settings. Prompts the index has itself.
    """
    if file_of(_split(name)[0]) is None:
        return name
    plain, settings = model_settings.split(_spelled(name))
    kept = {key: value for key, value in settings.items() if not common_settings.is_sentence(key)}
    return f"{plain}?{model_settings.written(kept)}" if kept else plain


def _split(name: str) -> tuple[str, dict[str, Any]]:
    """A name and its settings; of one that is no card's, whatever stands in it stays unread."""
    plain, _ = backends.split(name.partition("?")[0])
    return model_settings.split(name) if plain != name and file_of(plain) else (name, {})


def _spelled(name: str, seen: tuple[Path, ...] = ()) -> str:
    """A model's name without any card of the user's: the model that it is about, and all settings,
    those behind the name before those on the card.
    """
    plain, settings = _split(name)
    file = file_of(plain)
    if file is None:
        return name
    if file in seen:
        raise UserError(f"The card {file} leads back to itself.", "Name another model in it.")
    said = _read(file)
    below = _spelled(said["model"], (*seen, file))
    has_settings = "?" in below or backends.ends_with_one(below)
    inner, on_it = model_settings.split(below) if has_settings else (below, {})
    every = {**on_it, **_settings(said), **settings}
    return f"{inner}?{model_settings.written(every)}" if every else inner


def _settings(said: dict[str, Any]) -> dict[str, Any]:
    common = {key: said[key] for key in common_settings.COMMON if key in said}
    return {**common, **common_settings.of_prompts(said["prompts"]), **said["settings"]}


def _read(file: Path) -> dict[str, Any]:
    """What the card says; prompts and settings are there, and empty where it has none."""
    if not file.is_file():
        raise UserError(
            f"There is no card {file}.", "A card of yours is a TOML file: docs/models.md."
        )
    said = {"prompts": {}, "settings": {}, **toml_files.read(file, "model card")}
    at = partial(toml_files.where, file)
    for key in said:
        if key not in _KEYS:
            raise unknown(
                "key", key, _KEYS, f"It stands in {at((key,))}. Valid: {', '.join(_KEYS)}."
            )
    if not isinstance(said.get("model"), str) or not said["model"]:
        raise UserError(
            f"{at(('model',))}: the card names no model.", 'Write: model = "all-minilm-l6-v2"'
        )
    for key in ("prompts", "settings"):
        if not isinstance(said[key], dict):
            raise UserError(f"{at((key,))}: {key} is no table.", f"Write it under [{key}].")
    for key in _WORDS:
        if not isinstance(said.get(key, ""), str):
            raise UserError(f"{at((key,))}: {key} is no text.", "Put it in quotes.")
    for key, value in _settings({**said, "settings": {}}).items():
        table, dot, name = key.partition(".")
        try:
            common_settings.check_values({key: value})
        except UserError as error:
            place = ("prompts", name) if dot else (table,)
            raise UserError(f"{at(place)}: {error}", error.hint) from error
    return said
