"""The vector store: every vector ever encoded, found by content address.

    EMBEDLAB_HOME/vectors/<space>/manifest.json      what made the vectors, and the list of shards
                                 /<shard>.keys.npy   16-byte keys of the rendered texts
                                 /<shard>.dense.npy  vectors [n, d] (or .data/.indices/.indptr of a
                                 CSR matrix; or .codes [T, d] of all tokens, .offsets [n + 1] of the
                                 texts in them, .factors [T] of int8)
                                 /<shard>.tokens.npy tokens per text

Shards are never changed. The manifest is replaced atomically under a lock, so a reader sees the
list before or after an addition, and a killed writer leaves at most files that no manifest names
(`embedlab cache prune` removes them).
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from embedlab import folder_users, json_cache
from embedlab.encoding.vectors import shards
from embedlab.encoding.vectors.keys import found, space_address
from embedlab.encoding.vectors.shards import Shard
from embedlab.encoding.vectors.stored_vectors import Vectors
from embedlab.errors import UserError
from embedlab.resources import home
from embedlab.terminal import echo
from retrievers.token_vectors import Rows


class Space:
    """All vectors made under the same ingredients.

    Args:
        ingredients: everything that shaped the vectors, as `address.space_address` lists it.
        root: the store's folder; `EMBEDLAB_HOME/vectors` by default.
    """

    def __init__(self, ingredients: Mapping[str, Any], root: Path | None = None) -> None:
        self.ingredients = dict(ingredients)
        self.folder = (root or home() / "vectors") / space_address(ingredients)
        self._keys = np.empty(0, dtype="V16")
        self._place = np.empty((0, 2), dtype=np.int32)  # shard and row of each key
        self._unsorted = 0  # shards, the last ones, whose keys are not among these yet
        self._shards: list[Shard] = []
        self.refresh()

    def refresh(self) -> None:
        """Read the manifest again; shards that fail their check are named on stderr and dropped."""
        if self.folder.is_dir():
            with suppress(OSError), FileLock(self.folder / "lock"):
                # A disk that cannot be written keeps what it has.
                folder_users.enter(self.folder)
        known = {shard.name for shard in self._shards}
        for shard in _manifest(self.folder)["shards"]:
            if shard.name in known:
                continue
            problem = shards.fault(self.folder, shard)
            if problem:
                echo(
                    f"Vector store: {self.folder.name}/{problem}; its texts will be encoded again.",
                    err=True,
                )
                self._drop(shard)
            else:
                self._adopt(shard)

    def declare(self) -> None:
        """Make the space, still without vectors: `prune` and `cache ls` know then what it is."""
        if not (self.folder / "manifest.json").is_file():
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / "lock"):
                folder_users.enter(self.folder)
                _replace(self.folder, self.ingredients, _manifest(self.folder)["shards"])

    def has(self, keys: np.ndarray) -> np.ndarray:
        """Which of the keys (dtype V16) have a vector here: bool `[n]`."""
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
            UserError: the disk is full or the folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / "lock"):
                # Around the files too: prune must not take them for orphans.
                folder_users.enter(self.folder)
                shard = shards.write(self.folder, keys, tokens, vectors, seconds, derived)
                manifest = _manifest(self.folder)
                _replace(self.folder, self.ingredients, [*manifest["shards"], shard])
        except OSError as error:
            raise UserError(
                f"The vector store cannot be written: {error}.",
                "Free some space (`embedlab cache prune`) or set EMBEDLAB_HOME to another folder; "
                "what was finished is kept.",
            ) from error
        self._adopt(shard)

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
        return found(self._keys, keys)

    def _adopt(self, shard: Shard) -> None:
        self._shards.append(shard)
        self._unsorted += 1

    def _sort(self) -> None:
        """Take in the keys of new shards: when somebody looks,
        not at every addition, which would be quadratic.
        """
        if not self._unsorted:
            return
        keys, places = [self._keys], [self._place]
        for number in range(len(self._shards) - self._unsorted, len(self._shards)):
            keys.append(shards.keys_of(self.folder, self._shards[number]))
            place = np.empty((len(keys[-1]), 2), dtype=np.int32)
            place[:, 0], place[:, 1] = number, np.arange(len(place))
            places.append(place)
        self._keys, self._place = np.concatenate(keys), np.concatenate(places)
        order = np.argsort(self._keys, kind="stable")
        self._keys, self._place = self._keys[order], self._place[order]
        self._unsorted = 0

    def _drop(self, shard: Shard) -> None:
        with FileLock(self.folder / "lock"):
            remaining = [
                other for other in _manifest(self.folder)["shards"] if other.name != shard.name
            ]
            _replace(self.folder, self.ingredients, remaining)
        shards.remove(self.folder, shard.name)


def spaces(root: Path | None = None) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every space of the store as (folder, manifest)."""
    root = root or home() / "vectors"
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        if folder.is_dir():
            yield folder, _manifest(folder)


def verify(root: Path | None = None) -> list[str]:
    """What is wrong with any shard of the store, one line each."""
    return [
        f"{folder.name}/{problem}"
        for folder, manifest in spaces(root)
        for shard in manifest["shards"]
        if (problem := shards.fault(folder, shard))
    ]


def prune(root: Path | None = None, *, matching: str = "") -> int:
    """Remove files that no manifest names and, where `matching` is given,
    whole spaces whose model contains it.

    A space that another process uses right now stays, and is named on stderr.

    Returns:
        The bytes freed.
    """
    freed = 0
    for folder, manifest in list(spaces(root)):
        if matching and matching.lower() in str(manifest["ingredients"].get("model", "")).lower():
            freed += _remove(folder)
            continue
        with FileLock(folder / "lock"):
            named = {shard.name for shard in _manifest(folder)["shards"]}
            for path in [*folder.glob("*.npy"), *folder.glob("*.tmp"), *folder.glob(".*.part")]:
                if path.name.split(".")[0] not in named:
                    freed += path.stat().st_size
                    path.unlink()
    return freed


def _remove(folder: Path) -> int:
    """Remove a space that nobody uses, its manifest first: what is left of a removal that is
    stopped is no space.
    """
    with FileLock(folder / "lock"):
        if folder_users.in_use(folder):
            echo(
                f"Vector store: {folder.name} is in use by an evaluation that runs, and stays.",
                err=True,
            )
            return 0
        size = sum(path.stat().st_size for path in folder.iterdir())
        (folder / "manifest.json").unlink(missing_ok=True)
        shutil.rmtree(folder)  # with its lock: who waits for it finds it gone, and makes both anew
    return size


def _manifest(folder: Path) -> dict[str, Any]:
    nothing: dict[str, Any] = {"ingredients": {}, "shards": []}
    try:
        manifest = {**nothing, **json_cache.read(folder / "manifest.json", older=True)}
        manifest["shards"] = [
            Shard(name, rows, {part: tuple(facts) for part, facts in files.items()}, *spent)
            for name, rows, files, *spent in manifest["shards"]
        ]
    except (ValueError, TypeError, AttributeError):
        echo(
            f"Vector store: {folder.name}/manifest.json is damaged; its texts will be encoded"
            " again.",
            err=True,
        )
        return nothing
    return manifest


def _replace(folder: Path, ingredients: dict[str, Any], listed: list[Shard]) -> None:
    json_cache.write(folder / "manifest.json", {"ingredients": ingredients, "shards": listed})
