"""An index on disk: a folder that is whole or not there."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from retrievers.errors import RetrieverError

MANIFEST = "index.json"
_FORMAT = 1


def write(path: Path, manifest: dict, fill: Callable[[Path], None]) -> None:
    """Let `fill` write the index's files beside `path`, then put the finished folder in its place.

    The manifest lists every file with its size and is written last, so that a copy that was cut short is seen
    when it is read. Whatever interrupts the work, an index that was at `path` before stays.

    Raises:
        RetrieverError: `path` exists and is not an index.
    """
    path = Path(path)
    check_target(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path)
    partial = Path(tempfile.mkdtemp(prefix=f".{path.name}.partial-{os.getpid()}-", dir=path.parent))
    try:
        fill(partial)
        files = {str(file.relative_to(partial)): file.stat().st_size for file in _files(partial)}
        text = json.dumps({"format": _FORMAT, **manifest, "files": files}, indent=1, ensure_ascii=False)
        (partial / MANIFEST).write_text(text, encoding="utf-8")
        partial.chmod(0o755)
        if path.exists():
            old = partial.with_name(partial.name + "-old")
            path.rename(old)
            partial.rename(path)
            shutil.rmtree(old)
        else:
            partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def check_target(path: Path) -> None:
    """Refuse to write an index over something else."""
    path = Path(path)
    if path.exists() and not (path / MANIFEST).is_file() and not (path.is_dir() and not any(path.iterdir())):
        raise RetrieverError(f"{path} exists and is not an index.", "Name a new folder, or an index to replace.")


def read_manifest(path: Path) -> dict:
    """The manifest of the index at `path`, after a check that all its files are there, whole.

    Raises:
        RetrieverError: there is no index, it is half-written, or a newer version wrote it.
    """
    path = Path(path)
    if not path.is_dir():
        raise RetrieverError(
            f"There is no index at {path}.", "Build one: embedlab index --corpus DIR --out " + str(path)
        )
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RetrieverError(f"{path} is not an index, or a half-written one: {MANIFEST} is missing.", _AGAIN) from None
    except json.JSONDecodeError as error:
        raise RetrieverError(f"The index at {path} is half-written: {MANIFEST} is cut short.", _AGAIN) from error
    if manifest.get("format") != _FORMAT:
        raise RetrieverError(f"The index at {path} has format {manifest.get('format')}, not {_FORMAT}.", _AGAIN)
    for name, size in manifest["files"].items():
        if not (path / name).is_file() or (path / name).stat().st_size != size:
            raise RetrieverError(f"The index at {path} is half-written: {name} is missing or cut short.", _AGAIN)
    return manifest


def size_on_disk(path: Path) -> int:
    """Bytes of all files of the index at `path`."""
    return sum(file.stat().st_size for file in _files(Path(path)))


_AGAIN = "Build it again."


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file())


def _sweep(path: Path) -> None:
    """Remove what killed processes left beside `path`."""
    for left in path.parent.glob(f".{path.name}.partial-*"):
        process = left.name.rpartition(".partial-")[2].split("-")[0]
        if not Path(f"/proc/{process}").exists():
            shutil.rmtree(left, ignore_errors=True)
