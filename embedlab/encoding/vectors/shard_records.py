"""What a folder of vectors holds: a record of each shard, and what made them.

A record is written when the shard's files are there, once, under a name of its own, and never
changed. So any number of processes, on any number of hosts that share the disk, add to a folder
without a lock: who lists the records sees each shard whole or not at all.

Stores of earlier versions have a list of shards in manifest.json. It is read, and only ever gets
shorter.
"""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from embedlab import json_cache
from embedlab.encoding.vectors import shards
from embedlab.encoding.vectors.shards import Shard
from embedlab.terminal import echo

MANIFEST = "manifest.json"


class Manifest(NamedTuple):
    """What made the vectors, and the shards that an earlier version listed, in its order."""

    ingredients: dict[str, Any]
    shards: list[Shard]


def manifest(folder: Path) -> Manifest:
    """What the folder says of itself; nothing where it does not, or where that is damaged, which is
    said on stderr.
    """
    try:
        found = {"ingredients": {}, "shards": [], **json_cache.read(folder / MANIFEST, older=True)}
        listed = [
            Shard(name, rows, {part: tuple(facts) for part, facts in files.items()}, *spent)
            for name, rows, files, *spent in found["shards"]
        ]
        return Manifest(dict(found["ingredients"]), listed)
    except FileNotFoundError:  # removed between a look and the reading
        return Manifest({}, [])
    except (ValueError, TypeError, AttributeError):
        _say_damaged(folder, MANIFEST, "texts that it alone lists")
        return Manifest({}, [])


def describe(folder: Path, made_of: dict[str, Any]) -> None:
    """Say what makes the vectors, in the same words whoever says it.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / MANIFEST).is_file() or not manifest(folder).ingredients:
        json_cache.write(folder / MANIFEST, {"ingredients": made_of, "shards": []})


def names(folder: Path) -> list[str]:
    """The shards that have a record, in everybody's order: that of their names."""
    return in_order(path.name for path in folder.glob("*.json"))


def in_order(files: Iterable[str]) -> list[str]:
    """The shards whose records are among these files, in the same order."""
    return sorted(file[:-5] for file in files if file.endswith(".json") and file != MANIFEST)


def recorded(folder: Path, *, but: Iterable[str] = ()) -> list[Shard]:
    """The shards that have a record, by name, without those whose names are given; a damaged record
    is removed, and said on stderr.
    """
    known = set(but)
    found = (read(folder, name) for name in names(folder) if name not in known)
    return [shard for shard in found if shard]


def read(folder: Path, name: str) -> Shard | None:
    """A shard's record; None where it is gone or was damaged."""
    path = folder / f"{name}.json"
    try:
        return from_json(json_cache.read(path), name)
    except FileNotFoundError:
        return None
    except ValueError:
        _say_damaged(folder, path.name, "its texts")
        with suppress(OSError):
            path.unlink(missing_ok=True)
        return None


def from_json(fields: dict[str, Any], name: str) -> Shard | None:
    """The shard of a record's fields; None where there are none.

    Raises:
        ValueError: they are no record of this shard.
    """
    if not fields:
        return None
    try:
        shard = Shard(**fields)
        files = {part: (int(size), str(digest)) for part, (size, digest) in shard.files.items()}
    except (TypeError, AttributeError) as error:
        raise ValueError(str(error)) from None
    if shard.name != name or not name.isalnum() or not all(part.isidentifier() for part in files):
        raise ValueError("no record of this shard")  # files of other names may lie elsewhere
    return shard._replace(files=files)


def write(folder: Path, shard: Shard) -> None:
    """Make a shard, whose files are there, count.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    json_cache.write(folder / f"{shard.name}.json", shard._asdict())


def remove(folder: Path, shard: Shard) -> None:
    """Remove a shard, its record first.

    Raises:
        OSError: the folder cannot be written.
    """
    (folder / f"{shard.name}.json").unlink(missing_ok=True)
    made_of, older = manifest(folder)
    remaining = [other for other in older if other.name != shard.name]
    if len(remaining) < len(older):
        json_cache.write(folder / MANIFEST, {"ingredients": made_of, "shards": remaining})
    shards.remove(folder, shard.name)


def forget(folder: Path) -> None:
    """Remove all records: no shard of the folder counts any more. Nothing is written: this goes on
    a full disk.
    """
    if manifest(folder).shards:
        (folder / MANIFEST).unlink(missing_ok=True)
    for name in names(folder):
        (folder / f"{name}.json").unlink(missing_ok=True)


def _say_damaged(folder: Path, name: str, lost: str) -> None:
    echo(f"Vector store: {folder.name}/{name} is damaged; {lost} will be encoded again.", err=True)
