"""The vector store from outside: its spaces, their check, and what can be freed."""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from embedlab import folder_users
from embedlab.encoding.vectors import shard_records, shards
from embedlab.encoding.vectors.keys import is_address
from embedlab.encoding.vectors.shards import Shard
from embedlab.resources import vectors_folder
from embedlab.terminal import echo

_ABANDONED = 86_400.0  # seconds until files without a record count as left behind in any case


class Stored(NamedTuple):
    """A space: its folder, what made its vectors, and its shards."""

    folder: Path
    ingredients: dict[str, Any]
    shards: list[Shard]

    @property
    def bytes(self) -> int:
        """What it takes on the disk."""
        total = 0
        for path in self.folder.iterdir():
            with suppress(FileNotFoundError):  # written or removed meanwhile
                total += path.stat().st_size
        return total


def spaces(root: Path | None = None) -> Iterator[Stored]:
    """Every space of the store."""
    root = root or vectors_folder()
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        if is_address(folder.name) and folder.is_dir():
            made_of, older = shard_records.manifest(folder)
            names = [shard.name for shard in older]
            recorded = shard_records.recorded(folder, but=names)
            yield Stored(folder, made_of, [*older, *recorded])


def verify(root: Path | None = None) -> list[str]:
    """What is wrong with any shard of the store, one line each."""
    return [
        f"{space.folder.name}/{problem}"
        for space in spaces(root)
        for shard in space.shards
        if (problem := shards.fault(space.folder, shard))
    ]


def prune(root: Path | None = None, *, matching: str = "") -> int:
    """Remove files that no record names and, where `matching` is given,
    whole spaces whose model contains it.

    Files without a record stay while another process uses their space, as it may be writing them,
    until they are a day old. A space that another process uses right now stays, and is named on
    stderr.

    Returns:
        The bytes freed.
    """
    freed = 0
    for space in list(spaces(root)):
        if matching and matching.lower() in str(space.ingredients.get("model", "")).lower():
            freed += _remove(space)
        else:
            freed += _left_behind(space.folder)
    return freed


def _left_behind(folder: Path) -> int:
    # In this order: who writes one of these files has marked the folder before, and who has left it
    # since has written its record.
    files = [*folder.glob("*.npy"), *folder.glob("*.tmp"), *folder.glob(".*.part")]
    used = folder_users.in_use(folder)
    older = shard_records.manifest(folder).shards
    named = {*shard_records.names(folder), *(shard.name for shard in older)}
    freed = 0
    for path in files:
        if path.name.split(".")[0] in named:
            continue
        if used and folder_users.age(path) < _ABANDONED:
            continue
        with suppress(FileNotFoundError):  # renamed or removed meanwhile
            size = path.stat().st_size
            path.unlink()
            freed += size
    return freed


def _remove(space: Stored) -> int:
    """Remove a space that nobody uses, and last what it says of itself: a removal that is stopped
    can be typed again.
    """
    folder = space.folder
    if folder_users.in_use(folder):
        echo(
            f"Vector store: {folder.name} is in use by an evaluation that runs, and stays.",
            err=True,
        )
        return 0
    size = space.bytes
    shard_records.forget(folder)
    for path in folder.iterdir():
        if path.name != shard_records.MANIFEST:
            path.unlink(missing_ok=True)
    shutil.rmtree(folder)
    return size
