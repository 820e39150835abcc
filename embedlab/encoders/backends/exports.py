"""The exports on disk, EMBEDLAB_HOME/exports/DIGEST: made once, shown, and removed.

Each holds `export.json`, which says of which model it was made, and by which versions.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from filelock import FileLock, Timeout

from embedlab import folder_users
from embedlab.resources import home

_EXPORTERS = ("torch", "transformers", "onnxscript")
_FACTS = "export.json"


def made_by() -> list[str]:
    """What takes part in an export, with the versions that are installed."""
    found = []
    for package in _EXPORTERS:
        with suppress(PackageNotFoundError):
            found.append(f"{package} {version(package)}")
    return found


def made(folder: Path, make: Callable[[Path], None]) -> Path:
    """The folder, which `make` fills where it is not there; of several processes one does.

    Until this process ends, `prune` leaves it alone.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(_lock(folder)):
        if not folder.is_dir():
            new = folder.parent / f".{folder.name}.part"
            shutil.rmtree(new, ignore_errors=True)  # of a process that was killed here
            new.mkdir()
            try:
                make(new)
                new.rename(folder)
            except BaseException:
                shutil.rmtree(new, ignore_errors=True)
                raise
        folder_users.enter(folder)
    return folder


def describe(new: Path, model: str) -> None:
    """Write down whose export a folder holds."""
    facts = {"model": model, "made_by": made_by()}
    (new / _FACTS).write_text(json.dumps(facts), encoding="utf-8")


def sizes() -> dict[str, int]:
    """Bytes by the model that each export was made of."""
    found: dict[str, int] = {}
    for folder in _whole():
        model = _facts(folder)[0]
        found[model] = found.get(model, 0) + _size(folder)
    return dict(sorted(found.items()))


def prune(matching: str = "") -> int:
    """Remove what killed processes left half written, exports by versions that are no longer
    installed, which no run would read, and those of models whose name contains `matching`.

    One that a process writes or uses stays.

    Returns:
        the bytes that were freed.
    """
    freed = 0
    for half in _root().glob(".*.part"):
        folder = half.with_name(half.name.removeprefix(".").removesuffix(".part"))
        freed += _remove(half, _lock(folder))
    for folder in _whole():
        model, versions = _facts(folder)
        old = versions != made_by()
        if old or (matching and matching.lower() in model.lower()):
            freed += _remove(folder, _lock(folder))
        else:
            for half in folder.glob(".*.part"):
                freed += _remove(half, folder / "int8.lock")
    return freed


def _remove(folder: Path, lock: Path) -> int:
    try:
        with FileLock(lock, timeout=0):
            if folder_users.in_use(folder):
                return 0
            size = _size(folder)
            half = folder
            if not folder.name.startswith("."):  # half of a removal is not to look whole
                half = folder.with_name(f".{folder.name}.part")
                shutil.rmtree(half, ignore_errors=True)
                folder.rename(half)
            shutil.rmtree(half)
    except Timeout:
        return 0
    return size


def _root() -> Path:
    return home() / "exports"


def _whole() -> Iterator[Path]:
    folders = sorted(_root().iterdir()) if _root().is_dir() else []
    yield from (path for path in folders if path.is_dir() and not path.name.startswith("."))


def _lock(folder: Path) -> Path:
    return folder.parent / f"{folder.name}.lock"


def _facts(folder: Path) -> tuple[str, list[str]]:
    """(model, versions that made it); an export without them was made by an older edition."""
    try:
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        return str(facts["model"]), list(facts["made_by"])
    except (OSError, ValueError, KeyError, TypeError):
        return "?", []


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
