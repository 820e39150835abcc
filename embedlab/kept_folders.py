"""Folders of EMBEDLAB_HOME that are made once, whole or not at all, and made again when they are
lost: exported models, corpora.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import xxhash
from filelock import FileLock, Timeout

from embedlab import folder_users


def made(
    folder: Path, make: Callable[[Path], None], fault: Callable[[Path], str] = lambda _: ""
) -> Path:
    """The folder, which `make` fills where it is not there or has a `fault`; of several processes
    one does.

    Until this process ends, `remove` leaves it alone.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(_lock(folder)):
        if folder.is_dir() and fault(folder):
            _unmade(folder)
        if not folder.is_dir():
            new = _half(folder)
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


def whole(root: Path) -> Iterator[Path]:
    """The folders below `root` that are whole."""
    folders = sorted(root.iterdir()) if root.is_dir() else []
    yield from (path for path in folders if path.is_dir() and not path.name.startswith("."))


def prune(root: Path) -> int:
    """Remove what killed processes left half written below `root`; gives the bytes freed."""
    halves = list(root.glob(".*.part"))
    return sum(remove(half, root / f"{half.name[1:-5]}.lock") for half in halves)


def remove(folder: Path, lock: Path | None = None) -> int:
    """Remove a folder that no process writes or uses; gives the bytes freed.

    Args:
        lock: who holds it writes the folder; by default that of `made`.
    """
    try:
        with FileLock(lock or _lock(folder), timeout=0):
            if folder_users.in_use(folder):
                return 0
            freed = size(folder)
            _unmade(folder)
    except Timeout:
        return 0
    return freed


def size(folder: Path) -> int:
    """The bytes of all files in it."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def checksum(file: Path) -> str:
    """xxh3 of a file's bytes."""
    with file.open("rb") as content:
        return checksum_of(content)


def checksum_of(content: BinaryIO) -> str:
    """xxh3 of an open file, from where it stands to its end."""
    digest = xxhash.xxh3_64()
    while block := content.read(1 << 22):
        digest.update(block)
    return digest.hexdigest()


def _unmade(folder: Path) -> None:
    half = folder
    if not folder.name.startswith("."):  # half of a removal is not to look whole
        half = _half(folder)
        shutil.rmtree(half, ignore_errors=True)
        folder.rename(half)
    shutil.rmtree(half)


def _half(folder: Path) -> Path:
    return folder.parent / f".{folder.name}.part"


def _lock(folder: Path) -> Path:
    return folder.parent / f"{folder.name}.lock"
