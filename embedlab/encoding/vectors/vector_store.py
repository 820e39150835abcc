"""The vector store: every vector ever encoded, found by content address.

    EMBEDLAB_HOME/vectors/<space>/manifest.json      what made the vectors
                                 /<shard>.json       record of a shard: its files, their checksums
                                 /<shard>.keys.npy   16-byte keys of the rendered texts
                                 /<shard>.dense.npy  vectors [n, d] (or .data/.indices/.indptr of a
                                 CSR matrix; or .codes [T, d] of all tokens, .offsets [n + 1] of the
                                 texts in them, .factors [T] of int8)
                                 /<shard>.tokens.npy tokens per text

A shard counts once its record is there, which is written last; neither is ever changed. So any
number of processes and hosts add to a space without a lock, and a killed writer leaves at most
files without a record (`embedlab cache prune` removes them).
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from embedlab import folder_users
from embedlab.encoding.vectors import shard_records, shards
from embedlab.encoding.vectors.keys import found, space_address
from embedlab.encoding.vectors.object_store import opened
from embedlab.encoding.vectors.remote_space import RemoteSpace
from embedlab.encoding.vectors.shards import Shard
from embedlab.encoding.vectors.stored_vectors import Vectors
from embedlab.errors import UserError
from embedlab.resources import vectors_address, vectors_folder
from embedlab.terminal import echo
from retrievers.token_vectors import Rows


class Space:
    """All vectors made under the same ingredients.

    Args:
        ingredients: everything that shaped the vectors, as `address.space_address` lists it.
        root: the store's folder; by default what `EMBEDLAB_VECTORS` names, or
            `EMBEDLAB_HOME/vectors`.

    Raises:
        UserError: the vectors are in an object store that cannot be reached, read or written.
    """

    def __init__(self, ingredients: Mapping[str, Any], root: Path | None = None) -> None:
        self.ingredients = dict(ingredients)
        self.folder = (root or vectors_folder()) / space_address(ingredients)
        self._keys = np.empty(0, dtype="V16")
        self._place = np.empty((0, 2), dtype=np.int32)  # shard and row of each key
        self._unsorted = False  # whether there are shards whose keys are not among these
        self._shards: list[Shard] = []
        self._away: set[str] = set()  # shards of which only the keys are here
        address = vectors_address() if root is None else ""
        self._remote = RemoteSpace(opened(address), self.folder) if address else None
        self._adopt_sound(shard_records.manifest(self.folder).shards)
        self._older = len(self._shards)  # the first ones, whose order is their list's
        self.refresh()

    def refresh(self) -> None:
        """Read the records that are new; shards that fail their check are named on stderr and
        removed. Where the vectors are in an object store, what is only here is sent there.

        Raises:
            UserError: the object store cannot be reached, read or written.
        """
        if self.folder.is_dir():
            with suppress(OSError):  # a disk that cannot be written keeps what it has
                folder_users.enter(self.folder)
        names = [shard.name for shard in self._shards]
        self._adopt_sound(shard_records.recorded(self.folder, but=names))
        if self._remote:
            here = [shard for shard in self._shards if shard.name not in self._away]
            for shard in self._remote.compare(here, self.ingredients, but=self._away):
                self._adopt(shard)
                self._away.add(shard.name)

    def declare(self) -> None:
        """Make the space, still without vectors: `prune` and `cache ls` know then what it is.

        Raises:
            OSError: the disk is full or the folder cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        # Before the files: prune must not take them for left behind.
        folder_users.enter(self.folder)
        shard_records.describe(self.folder, self.ingredients)

    def has(self, keys: np.ndarray) -> np.ndarray:
        """Which of the keys (dtype V16) have a vector here: bool `[n]`. What an object store has of
        them is fetched, as what is damaged has to be made again.
        """
        return self._find(keys) >= 0

    def add(
        self,
        keys: np.ndarray,
        tokens: np.ndarray,
        vectors: Rows,
        seconds: float,
        *,
        derived: bool = False,
    ) -> None:
        """Append a shard, all of it or nothing: keys V16 `[n]`,
        tokens per text `[n]`, vectors `[n, d]`.

        `seconds` is what encoding it took; it stays with the vectors, so that a later run can state
        their cost, and whether it was `derived` of a pass through several layers.

        Raises:
            UserError: the disk is full, or the folder or the object store cannot be written; what
                was added to the folder is kept, and sent by the next `Space`.
        """
        try:
            self.declare()
            shard = shards.write(self.folder, keys, tokens, vectors, seconds, derived)
            shard_records.write(self.folder, shard)
        except OSError as error:
            raise UserError(
                f"The vector store cannot be written: {error}.",
                "Free some space (`embedlab cache prune`) or set EMBEDLAB_HOME, or EMBEDLAB_VECTORS"
                ", to another folder; what was finished is kept.",
            ) from error
        self._adopt(shard)
        if self._remote:
            self._remote.send(shard, self.ingredients)

    def vectors(self, keys: np.ndarray) -> "Vectors":
        """The vectors of the keys, read when asked for.

        Raises:
            KeyError: a key has no vector here.
        """
        at = self._find(keys)
        if (at < 0).any():
            raise KeyError(f"{(at < 0).sum()} of {len(keys)} texts are not in {self.folder.name}")
        return Vectors(self.folder, self._shards, self._place[at])

    def _find(self, keys: np.ndarray) -> np.ndarray:
        self._sort()
        places = found(self._keys, keys)
        if self._remote and self._away:
            numbers = np.unique(self._place[places[places >= 0], 0])
            wanted = [self._shards[number] for number in numbers]
            if lacking := [shard for shard in wanted if shard.name in self._away]:
                lost = self._remote.fetch(lacking)
                self._away -= {shard.name for shard in lacking}
                if lost:  # another shard may have the same texts
                    self._shards = [shard for shard in self._shards if shard.name not in lost]
                    self._unsorted = True
                    return self._find(keys)
        return places

    def _adopt_sound(self, listed: list[Shard]) -> None:
        for shard in listed:
            if problem := shards.fault(self.folder, shard):
                next_ = "it is fetched" if self._remote else "its texts will be encoded"
                echo(f"Vector store: {self.folder.name}/{problem}; {next_} again.", err=True)
                with suppress(OSError):
                    shard_records.remove(self.folder, shard)
            else:
                self._adopt(shard)

    def _adopt(self, shard: Shard) -> None:
        self._shards.append(shard)
        self._unsorted = True

    def _sort(self) -> None:
        """Take in the keys of new shards: when somebody looks,
        not at every addition, which would be quadratic.

        Of a text that two processes encoded at once, everybody takes the vector of the same shard,
        whoever wrote it: those of an earlier version's list come first, the others by name.
        """
        if not self._unsorted:
            return
        in_order = list(range(len(self._shards)))
        in_order[self._older :] = sorted(
            in_order[self._older :], key=lambda number: self._shards[number].name
        )
        listed = [self._shards[number] for number in in_order]
        place = np.empty((sum(shard.rows for shard in listed), 2), dtype=np.int32)
        place[:, 0] = np.repeat(
            np.array(in_order, dtype=np.int32), [shard.rows for shard in listed]
        )
        keys, start = [np.empty(0, dtype="V16")], 0
        for shard in listed:
            keys.append(shards.keys_of(self.folder, shard))
            place[start : start + shard.rows, 1] = np.arange(shard.rows)
            start += shard.rows
        self._keys = np.concatenate(keys)
        order = np.argsort(self._keys, kind="stable")
        self._keys, self._place = self._keys[order], place[order]
        self._unsorted = False
