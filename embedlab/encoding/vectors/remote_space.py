"""A space in an object store, of which the folder on this machine is a copy: what is made here goes
there, what is there comes here when it is read.

The files are those of the folder, under the same names. A shard's record goes up last, and comes
down last: a shard counts where its record is, there as here.
"""

import uuid
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from embedlab import folder_users, json_cache
from embedlab.encoding.vectors import shard_records, shards
from embedlab.encoding.vectors.object_store import ObjectStore
from embedlab.encoding.vectors.shards import Shard
from embedlab.errors import UserError
from embedlab.terminal import echo

_TOGETHER = 32  # shards that are fetched at a time
_LONG = 100e6  # bytes from which it is said that something is fetched


class RemoteSpace:
    """A space as an object store has it.

    Args:
        store: the object store.
        folder: the copy of the space on this machine, which may not be there yet.
    """

    def __init__(self, store: ObjectStore, folder: Path) -> None:
        self._store, self._folder, self._space = store, folder, folder.name
        self._there: dict[str, int] = {}  # its files, with their bytes
        self._described = False

    def compare(
        self, here: Sequence[Shard], made_of: dict[str, Any], *, but: Collection[str] = ()
    ) -> list[Shard]:
        """Send what is only here, and find what is only there.

        Args:
            here: the shards of the folder.
            made_of: the ingredients of the space.
            but: names of shards that are only there, as was found before.

        Returns:
            the other shards that are only there; their keys are in the folder now.

        Raises:
            UserError: the store cannot be reached, read or written.
        """
        there = self._there = self._store.files(self._space)
        self._described = shard_records.MANIFEST in there
        only_here = [shard for shard in here if f"{shard.name}.json" not in there]
        if only_here:
            echo(
                f"Vector store: {len(only_here)} shards that are only here go to"
                f" {self._store.address}.",
                err=True,
            )
        for shard in only_here:
            self.send(shard, made_of)
        known = {*but, *(shard.name for shard in here)}
        records = [f"{name}.json" for name in shard_records.in_order(there) if name not in known]
        found = [*self._read(records)]
        lost = self._bring(found, only="keys")
        return [shard for shard in found if shard not in lost]

    def send(self, shard: Shard, made_of: dict[str, Any]) -> None:
        """Copy a shard there, its record last.

        Raises:
            UserError: the store cannot be reached or written.
        """
        shard_records.describe(self._folder, made_of)
        if not self._described:
            self._store.put(self._space, [self._folder / shard_records.MANIFEST])
            self._described = True
        record = self._folder / f"{shard.name}.json"
        if not record.is_file():  # an earlier version's list has it
            shard_records.write(self._folder, shard)
        self._store.put(
            self._space, [self._folder / shards.file_of(shard, part) for part in shard.files]
        )
        self._store.put(self._space, [record])

    def fetch(self, wanted: Sequence[Shard]) -> set[str]:
        """Make shards whole in the folder.

        Returns:
            the names of those that are damaged there, which were said on stderr and removed.

        Raises:
            UserError: the store cannot be reached or read.
        """
        size = sum(size for shard in wanted for size, _ in shard.files.values())
        if size > _LONG:
            echo(
                f"Vector store: {size / 1e6:,.0f} MB are fetched from {self._store.address}.",
                err=True,
            )
        lost: set[str] = set()
        for start in range(0, len(wanted), _TOGETHER):
            part = wanted[start : start + _TOGETHER]
            damaged = self._bring(part)
            for shard in part:
                if shard not in damaged:
                    shard_records.write(self._folder, shard)
            lost |= {shard.name for shard in damaged}
        return lost

    def _read(self, records: Sequence[str]) -> Iterator[Shard]:
        for file, content in self._store.read(self._space, records).items():
            name = file.removesuffix(".json")
            try:
                shard = shard_records.from_json(json_cache.parse(content), name)
            except ValueError:
                self._say(f"{file} is damaged")
                self._remove([file])
            else:
                if shard:
                    yield shard

    def _bring(self, wanted: Sequence[Shard], only: str = "") -> list[Shard]:
        """Have the files of shards here, or `only` one part of each; gives the shards that are
        damaged there.
        """
        if not wanted:
            return []
        self._folder.mkdir(parents=True, exist_ok=True)
        folder_users.enter(self._folder)  # before the files: prune would take them for left behind
        parts = [(shard, part) for shard in wanted for part in shard.files if only in ("", part)]
        lacking = self._faulty(parts)
        for again in (False, True):  # what comes damaged may have been damaged on its way
            if again and lacking:  # and what was not there when the list was made may be by now
                self._there = self._store.files(self._space)
            self._download([place for place in lacking if self._there_whole(*place)])
            lacking = self._faulty(lacking)
        damaged = {shard.name: shard for shard, _ in lacking}
        for shard, part in lacking:
            if shard.name in damaged:
                self._discard(damaged.pop(shard.name), part)
        return [shard for shard, _ in lacking]

    def _faulty(self, parts: list[tuple[Shard, str]]) -> list[tuple[Shard, str]]:
        return [
            (shard, part) for shard, part in parts if shards.fault(self._folder, shard, only=part)
        ]

    def _there_whole(self, shard: Shard, part: str) -> bool:
        return self._there.get(shards.file_of(shard, part)) == shard.files[part][0]

    def _download(self, parts: list[tuple[Shard, str]]) -> None:
        """Each file gets its name when it is here: another process may read the folder."""
        names = [shards.file_of(*place) for place in parts]
        halves = {name: self._folder / f".{name}.{uuid.uuid4().hex}.part" for name in names}
        try:
            self._store.fetch(self._space, halves)
            for name, half in halves.items():
                half.replace(self._folder / name)
        except OSError as error:
            raise UserError(
                f"Vectors of {self._store.address} cannot be written to {self._folder}:"
                f" {error.strerror}.",
                "Free some space, or set EMBEDLAB_HOME to another folder.",
            ) from error
        finally:
            for half in halves.values():
                half.unlink(missing_ok=True)

    def _discard(self, shard: Shard, part: str) -> None:
        """Remove a shard that is damaged there, so that the next one does not fetch it."""
        self._say(f"{shards.file_of(shard, part)} is damaged or missing")
        self._remove([f"{shard.name}.json", *(shards.file_of(shard, each) for each in shard.files)])
        with suppress(OSError):
            shards.remove(self._folder, shard.name)

    def _remove(self, files: Sequence[str]) -> None:
        with suppress(UserError):  # who may only read leaves them
            self._store.remove(self._space, files)

    def _say(self, problem: str) -> None:
        echo(
            f"Vector store: {self._store.address}/{self._space}/{problem}; its texts will be"
            " encoded again.",
            err=True,
        )
