"""Where a study's trained models lie: one folder for each content of recipe, data and seed.

A changed recipe, base, data file or package version is another key, and trains anew; an unchanged
one is found again, whatever study asks for it and whatever the training is called there.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

from embedlab.bases import folders
from embedlab.bases.base_cards import bases
from embedlab.models.facts.training_sets import RECORD
from embedlab.models.files import identity
from embedlab.models.files.digests import sha256
from embedlab.resources import DATA, home
from embedlab.training.recipe import Recipe
from embedlab.training.workplace import WORK

DIGITS = 8


def key(recipe: Recipe) -> str:
    """8 hexadecimal digits of all that shapes the trained model: the recipe but for its name, and
    by content what it names on this machine (bases, encoders, teachers, data files, packages).
    """
    content = asdict(recipe)
    del content["name"], content["description"]
    named = {text: digest for text in _texts(content) if (digest := _content_of(text))}
    every = [recipe.data, *(stage.data for stage in recipe.stages)]
    sources = [part for data in every for part in (data, *(data.get("sources") or []))]
    packages = [_versions(_frozen(data["packages"])) for data in sources if data.get("packages")]
    whole = json.dumps([content, named, packages], sort_keys=True, default=str)
    return hashlib.sha256(whole.encode()).hexdigest()[:DIGITS]


def place(recipe: Recipe, label: str) -> tuple[Recipe, Path]:
    """The recipe under the name of its folder, and that folder: the one that has its key, else a
    new one, named after `label`.
    """
    digits = key(recipe)
    trained = home() / "trained"
    there = sorted(path for path in trained.glob(f"*-{digits}") if path.is_dir())
    folder = there[0] if there else trained / f"{label}-s{recipe.seed}-{digits}"
    return replace(recipe, name=folder.name), folder


def twin_of(recipe: Recipe) -> Recipe:
    """What the model before its first step depends on: no stages, and no data but where a new base
    is made of them.
    """
    data = recipe.data if isinstance(recipe.base, dict) else {}
    return replace(recipe, stages=[], data=data)


def is_trained(folder: Path) -> bool:
    """Whether a training is done in this folder."""
    return (folder / RECORD).is_file()


def is_saved(folder: Path) -> bool:
    """Whether an untrained model is whole in this folder."""
    return (folder / "modules.json").is_file() and not (folder / WORK).exists()


def record(folder: Path) -> dict[str, Any]:
    """What a finished training recorded; empty where it cannot be read."""
    try:
        found = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def steps_done(folder: Path, recipe: Recipe) -> int:
    """How many steps of all stages an unfinished training would go on from."""
    work, done = folder / WORK, 0
    for number, stage in enumerate(recipe.stages, 1):
        own = work / f"{number}-{stage.objective}"
        if (own / "state.pt").is_file():
            done += stage.steps
            continue
        whole = [path for path in own.glob("checkpoint-*") if (path / "whole").is_file()]
        return done + max((int(path.name.rpartition("-")[2]) for path in whole), default=0)
    return done


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)


def _content_of(text: str) -> str:
    """The digest of the shipped checkpoint, folder, base or file of this name; empty where there
    is none.
    """
    if not text or len(text) > 500 or "\n" in text:
        return ""
    plain, _ = folders.split(text)
    shipped, path = DATA / "checkpoints" / plain, Path(plain)
    if (shipped / "config.json").is_file():
        return identity.of_folder(shipped)
    if path.is_dir():
        return identity.of_folder(path)
    if plain in bases():
        return bases()[plain].package.sha256
    return sha256(path) if path.is_file() else ""


def _frozen(packages: Any) -> tuple[str, ...]:
    return (packages,) if isinstance(packages, str) else tuple(packages)


@cache
def _versions(packages: tuple[str, ...]) -> list[tuple[str, str]]:
    """The installed version of each package of a list in data/recipes/packages.toml."""
    from embedlab.training import packages as installed
    from embedlab.training.training_data import lock

    single = len(packages) == 1 and packages[0] in _lists()
    names = list(lock(packages[0])["versions"]) if single else list(packages)
    return sorted(installed.versions(names).items())


@cache
def _lists() -> frozenset[str]:
    import tomllib

    from embedlab.training.training_data import LOCK

    return frozenset(tomllib.loads(LOCK.read_text(encoding="utf-8")))
