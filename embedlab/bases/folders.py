"""The folder of a base, by its name.

    smollm2-135m              a card of data/bases: its package carries the weights, which are
                              converted once
    smollm2-135m@layers=12    the first 12 layers, the final norm and the head
    OWNER/NAME@layers=4       of a hub model; FOLDER@layers=4 of a local one

What is made is kept in EMBEDLAB_HOME/bases/NAME/DIGEST and is a model like any other there: it has
its name once it is whole, and of several processes one makes it.
"""

import hashlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock

from embedlab import hub
from embedlab.bases import packaged
from embedlab.bases.base_cards import Base, bases
from embedlab.bases.disk import LOCK
from embedlab.errors import UserError
from embedlab.resources import home
from embedlab.terminal import echo
from leaderboard.plain_json import from_json

_CUT = re.compile(r"(.+?)@layers=([^@]*)", re.DOTALL)
_DIGITS = 5  # more than any number of layers has; int() of thousands of digits is an error
_HEADS = ("ForCausalLM", "LMHeadModel")  # ends of the names of classes that generate


def split(name: str) -> tuple[str, str]:
    """A base's name, and what stands behind `@layers=`; empty where that does not stand there."""
    found = _CUT.fullmatch(name)
    return (found[1], found[2] or "?") if found and not Path(name).is_dir() else (name, "")


def is_base(name: str) -> bool:
    """Whether a name is that of a card, or has `@layers=` behind it."""
    plain, layers = split(name)
    return bool(layers) or plain in bases()


def folder(name: str | Path, revision: str | None = None) -> Path:
    """The folder of a base, made first where it is a card's or is to be cut.

    Args:
        name: a card, a local folder or a hub id; `@layers=N` may follow.
        revision: of a hub id; None takes the newest.

    Raises:
        UserError: it is nowhere, its package is not installed or holds other weights, or it has
            not that many layers.
    """
    plain, layers = split(str(name))
    card = bases().get(plain)
    if card and not Path(plain).is_dir():
        if layers:  # before anything is converted
            check_layers(plain, layers, card.layers)
        whole, digest = _converted(card), card.package.sha256[:16]
    else:
        whole, digest = Path(plain), ""
        if not whole.is_dir():
            whole = hub.snapshot(plain, revision)
    if not layers:
        return whole
    number = _number(plain, layers, whole)
    digest = digest or _digest(whole)
    short = plain.replace("/", "--") if not Path(plain).is_dir() else Path(plain).resolve().name

    def make(new: Path) -> None:
        from embedlab.bases.safetensors_files import cut

        cut(whole, number, layers_key(_config(whole)), new)

    return _made(f"{short}@layers={number}", digest, make)


def require_language_model(folder: Path, name: str) -> None:
    """Refuse a model that does not generate from left to right.

    Raises:
        UserError: it is none.
    """
    config = _config(folder)
    classes = config.get("architectures") or []
    if any(str(one).endswith(_HEADS) for one in classes):
        return
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    kind = config.get("model_type", "")
    # Encoders such as BERT are in that list too, for those who make a decoder of them.
    if kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES or "type_vocab_size" in config:
        found = ", ".join(map(str, classes)) or kind
        problem = (
            f"{name} is no causal language model, but {found}."
            if found
            else f"{name} is no causal language model: it has no config.json that says which."
        )
        raise UserError(
            problem,
            f"Give one: {', '.join(bases())}, a hub id, or a folder.",
        )


def _converted(base: Base) -> Path:
    def make(new: Path) -> None:
        package = base.package
        where = packaged.folder_of(package.module)
        if where is None:
            raise UserError(
                f"The base {base.name} needs the package {package.package}.",
                f"Type: {package.install}",
            )
        again = package.install.replace("install", "install --force-reinstall", 1)
        file = where / package.weights
        packaged.check(file, package.sha256, package.package, base.source, again)
        from embedlab.bases.safetensors_files import convert

        echo(f"{base.name}: writing its weights as safetensors, once.", err=True)
        convert(file, new)

    return _made(base.name, base.package.sha256[:16], make)


def _made(name: str, digest: str, make: Callable[[Path], None]) -> Path:
    """The folder of this name and digest, which `make` fills where it is not there yet."""
    place = home() / "bases" / name
    whole = place / digest
    if whole.is_dir():
        return whole
    place.mkdir(parents=True, exist_ok=True)
    with FileLock(place / LOCK):
        if not whole.is_dir():
            new = place / f".{digest}.part"
            shutil.rmtree(new, ignore_errors=True)  # of a process that was killed here
            new.mkdir()
            try:
                make(new)
                new.rename(whole)
            except BaseException:
                shutil.rmtree(new, ignore_errors=True)
                raise
    return whole


def _number(name: str, layers: str, whole: Path) -> int:
    """The number of layers asked for.

    Raises:
        UserError: it is none from 1 to what there are.
    """
    require_language_model(whole, name)
    config = _config(whole)
    there = config.get(layers_key(config))
    if not isinstance(there, int):
        raise UserError(
            f"The configuration of {name} does not say how many layers it has.",
            "Use it whole, without @layers=.",
        )
    check_layers(name, layers, there)
    return int(layers)


def layers_key(config: dict[str, Any]) -> str:
    """Under what name a configuration has its number of layers: GPT-2's is n_layer."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    kind = config.get("model_type", "")
    names = CONFIG_MAPPING[kind].attribute_map if kind in CONFIG_MAPPING else {}
    own = names.get("num_hidden_layers", "")
    return own if own in config else "num_hidden_layers"


def check_layers(name: str, layers: str, there: int) -> None:
    """Refuse what is none from 1 to what there are, and 06: a model has one name."""
    whole = layers.isascii() and layers.isdigit() and len(layers) < _DIGITS
    if not (whole and 1 <= int(layers) <= there and layers == str(int(layers))):
        raise UserError(
            f"{name} cannot be cut to {layers.removeprefix('?')!r} layers.",
            f"It has {there}: type {name}@layers=N with N from 1 to {there}.",
        )


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in (".safetensors", ".json", ".model") and path.is_file():
            digest.update(f"{path.name}:{packaged.sha256(path)}\n".encode())
    return digest.hexdigest()[:16]


def _config(folder: Path) -> dict[str, Any]:
    try:
        found = from_json((folder / "config.json").read_bytes())
    except FileNotFoundError:
        found = {}
    except ValueError as error:
        raise UserError(
            f"{folder / 'config.json'} is no JSON: {error}.", "Get the model again."
        ) from error
    return found if isinstance(found, dict) else {}
