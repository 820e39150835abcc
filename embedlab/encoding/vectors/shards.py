"""Shard files: a block of vectors with its keys, written once,
read by memory map, checked by checksum.
"""

import os
import uuid
from pathlib import Path
from typing import NamedTuple

import numpy as np

from embedlab import kept_folders
from retrievers.token_vectors import Rows, TokenVectors


class Shard(NamedTuple):
    """One shard as its record says it: `files` maps each part to (bytes, checksum), `seconds` is
    what it took, or what was `derived` of a pass through several layers.
    """

    name: str
    rows: int
    files: dict[str, tuple[int, str]]
    seconds: float
    derived: bool = False


def file_of(shard: Shard, part: str) -> str:
    """The name of the file that holds a part of a shard."""
    return f"{shard.name}.{part}.npy"


def write(
    folder: Path,
    keys: np.ndarray,
    tokens: np.ndarray,
    vectors: Rows,
    seconds: float,
    derived: bool = False,
) -> Shard:
    """Write a shard's files, flushed to disk, under a name of its own; they count for nothing until
    there is a record of them.
    """
    name = uuid.uuid4().hex
    parts: dict[str, np.ndarray] = {
        "keys": keys.view(np.uint8).reshape(-1, 16),
        "tokens": tokens.astype(np.int32),
    }
    if isinstance(vectors, np.ndarray):
        parts["dense"] = vectors
    elif isinstance(vectors, TokenVectors):
        parts |= {"codes": vectors.codes, "offsets": vectors.offsets}
        if vectors.factors is not None:
            parts["factors"] = vectors.factors
    else:
        parts |= {
            "data": vectors.data,
            "indices": vectors.indices.astype(np.int32),
            "indptr": vectors.indptr.astype(np.int64),
            "width": np.array([vectors.shape[1]]),
        }
    try:
        files = {
            part: _written(folder / f"{name}.{part}.npy", each) for part, each in parts.items()
        }
    except OSError:
        remove(folder, name)  # what is there of it would fill a full disk
        raise
    return Shard(name, len(keys), files, seconds, derived)


def _written(path: Path, array: np.ndarray) -> tuple[int, str]:
    """Write an array, on the disk for good; gives bytes and checksum of the file."""
    with path.open("wb") as file:
        np.save(file, np.ascontiguousarray(array), allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())
    return path.stat().st_size, kept_folders.checksum(path)


def fault(folder: Path, shard: Shard, *, only: str = "") -> str:
    """What is wrong with a shard's files, or with `only` one part; empty where nothing is."""
    for part, (size, digest) in shard.files.items():
        if only and part != only:
            continue
        path = folder / file_of(shard, part)
        try:
            # Opened first: NFS asks the server then, and no memory of how long the file was.
            with path.open("rb") as file:
                found = os.fstat(file.fileno()).st_size
                if found != size:
                    return f"{path.name} has {found} bytes, expected {size}"
                if kept_folders.checksum_of(file) != digest:
                    return f"{path.name} does not match its checksum"
        except FileNotFoundError:
            return f"{path.name} is missing"
    return ""


def read(folder: Path, shard: Shard, part: str) -> np.ndarray:
    """One part of a shard as a read-only memory map."""
    rows: np.ndarray = np.load(folder / file_of(shard, part), mmap_mode="r", allow_pickle=False)
    return rows


def keys_of(folder: Path, shard: Shard) -> np.ndarray:
    """A shard's text keys, dtype V16."""
    return np.ascontiguousarray(read(folder, shard, "keys")).view("V16").reshape(-1)


def remove(folder: Path, name: str) -> None:
    """Delete a shard's files."""
    for path in folder.glob(f"{name}.*.npy"):
        path.unlink(missing_ok=True)
