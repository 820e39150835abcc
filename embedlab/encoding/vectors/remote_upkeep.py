"""The vectors in an object store from outside: its spaces, their check, and what can be freed."""

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from embedlab import json_cache
from embedlab.encoding.vectors import shard_records, shards
from embedlab.encoding.vectors.keys import is_address
from embedlab.encoding.vectors.object_store import ObjectStore, opened
from embedlab.encoding.vectors.shards import Shard
from embedlab.errors import UserError
from embedlab.resources import vectors_address

_ABANDONED = 86_400.0  # seconds until files without a record count as left behind
_PROBE = "embedlab-doctor"


class Kept(NamedTuple):
    """A space of an object store: its name, what made its vectors, its shards, its files with their
    bytes, and what is wrong with a record.
    """

    name: str
    ingredients: dict[str, Any]
    shards: list[Shard]
    files: dict[str, int]
    problems: list[str]

    @property
    def bytes(self) -> int:
        """What it takes there."""
        return sum(self.files.values())


def store() -> ObjectStore | None:
    """The object store that EMBEDLAB_VECTORS names; None where it names none.

    Raises:
        UserError: the address is wrong, or a package for it is not installed.
    """
    address = vectors_address()
    return opened(address) if address else None


def spaces(there: ObjectStore) -> Iterator[Kept]:
    """Every space of the store.

    Raises:
        UserError: it cannot be reached or read.
    """
    for name in filter(is_address, there.folders()):
        files = there.files(name)
        records = [f"{shard}.json" for shard in shard_records.in_order(files)]
        described = [shard_records.MANIFEST] if shard_records.MANIFEST in files else []
        contents = there.read(name, [*described, *records])
        made_of: dict[str, Any] = {}
        with suppress(KeyError, ValueError):
            made_of = json_cache.parse(contents.pop(shard_records.MANIFEST))["ingredients"]
        listed, problems = [], []
        for file in records:
            try:
                shard = shard_records.from_json(json_cache.parse(contents[file]), file[:-5])
            except ValueError:
                shard = None
            if shard:
                listed.append(shard)
            else:
                problems.append(f"{file} is damaged")
        yield Kept(name, made_of, listed, files, problems)


def verify(there: ObjectStore) -> list[str]:
    """What is wrong with any shard of the store, one line each: a record, a file that is missing or
    of another length. Contents are checked when they are fetched.

    Raises:
        UserError: it cannot be reached or read.
    """
    return [
        f"{there.address}/{space.name}/{problem}"
        for space in spaces(there)
        for problem in (*space.problems, *_faults(space))
    ]


def prune(there: ObjectStore, *, matching: str = "") -> int:
    """Remove files that have had no record for a day and, where `matching` is given, whole spaces
    whose model contains it.

    Returns:
        The bytes freed.

    Raises:
        UserError: it cannot be reached, read or written.
    """
    freed = 0
    for space in list(spaces(there)):
        if matching and matching.lower() in str(space.ingredients.get("model", "")).lower():
            gone = _records_first(space.files)
        else:
            gone = _left_behind(space, there.written(space.name))
        there.remove(space.name, gone)
        freed += sum(space.files[name] for name in gone)
    return freed


def _records_first(files: Iterable[str]) -> list[str]:
    """What the space says of itself comes last: a removal that is stopped can be typed again."""
    return sorted(
        files, key=lambda name: (name == shard_records.MANIFEST, not name.endswith(".json"))
    )


def _left_behind(space: Kept, written: dict[str, float]) -> list[str]:
    named = {shard.name for shard in space.shards}
    before = time.time() - _ABANDONED
    return [
        name
        for name in space.files
        if name.endswith(".npy")
        and name.split(".")[0] not in named
        and 0 < written.get(name, 0) < before
    ]


def probe(there: ObjectStore) -> None:
    """Write a small file, read it, and remove it, where that is allowed.

    Raises:
        UserError: the store cannot be reached, read or written.
    """
    there.folders()
    there.write("", _PROBE, b"It was written to see whether it can be.")
    there.read("", [_PROBE])
    with suppress(UserError):
        there.remove("", [_PROBE])


def _faults(space: Kept) -> Iterator[str]:
    for shard in space.shards:
        for part, (size, _) in shard.files.items():
            file = shards.file_of(shard, part)
            if file not in space.files:
                yield f"{file} is missing"
            elif space.files[file] != size:
                yield f"{file} has {space.files[file]} bytes, expected {size}"
