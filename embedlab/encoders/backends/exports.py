"""The exports on disk, EMBEDLAB_HOME/exports/DIGEST: made once, shown, and removed.

Each holds `export.json`, which says of which model it was made, and by which versions.
"""

import json
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from embedlab import kept_folders
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


def describe(new: Path, model: str) -> None:
    """Write down whose export a folder holds."""
    facts = {"model": model, "made_by": made_by()}
    (new / _FACTS).write_text(json.dumps(facts), encoding="utf-8")


def sizes() -> dict[str, int]:
    """Bytes by the model that each export was made of."""
    found: dict[str, int] = {}
    for folder in kept_folders.whole(_root()):
        model = _facts(folder)[0]
        found[model] = found.get(model, 0) + kept_folders.size(folder)
    return dict(sorted(found.items()))


def prune(matching: str = "") -> int:
    """Remove what killed processes left half written, exports by versions that are no longer
    installed, which no run would read, and those of models whose name contains `matching`.

    One that a process writes or uses stays.

    Returns:
        the bytes that were freed.
    """
    freed = kept_folders.prune(_root())
    for folder in kept_folders.whole(_root()):
        model, versions = _facts(folder)
        old = versions != made_by()
        if old or (matching and matching.lower() in model.lower()):
            freed += kept_folders.remove(folder)
        else:
            for half in folder.glob(".*.part"):
                freed += kept_folders.remove(half, folder / "int8.lock")
    return freed


def _root() -> Path:
    return home() / "exports"


def _facts(folder: Path) -> tuple[str, list[str]]:
    """(model, versions that made it); an export without them was made by an older edition."""
    try:
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        return str(facts["model"]), list(facts["made_by"])
    except (OSError, ValueError, KeyError, TypeError):
        return "?", []
