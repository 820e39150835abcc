"""The generations of an index's files: a folder each, written before the manifest names it."""

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import xxhash

from retrievers.errors import RetrieverError
from retrievers.index_manifest import AGAIN, GENERATION, MANIFEST, SIGNATURE, is_index, unchecked

# The first file of a generation: a folder without it is somebody else's, whatever its name.
MARK = ".generation"
_BLOCK = 1 << 22  # bytes read at a time for a checksum


def generations(home: Path) -> list[Path]:
    """The folders in `home` that an index's files were written to."""
    return sorted(
        entry for entry in home.iterdir() if GENERATION.fullmatch(entry.name) and _is_ours(entry)
    )


def outdated_generations(home: Path) -> list[str]:
    """The generations that a new one replaces: the present one,
    and what a killed process did not come to remove.
    """
    try:
        manifest = unchecked(home)
        names = (
            [manifest["data"], *manifest["replaces"]] if manifest["signature"] == SIGNATURE else []
        )
    except (OSError, ValueError, RecursionError, LookupError, TypeError):
        return []
    return [name for name in names if GENERATION.fullmatch(str(name)) and (home / name).is_dir()]


def files_of(data: Path) -> list[Path]:
    """The files below `data`; of an index inside it the manifest alone,
    which vouches for the rest.
    """
    files = []
    for entry in sorted(data.iterdir()):
        if not entry.is_dir():
            files.append(entry)
        elif is_index(entry):
            files.append(entry / MANIFEST)
        else:
            files += files_of(entry)
    return files


def verify(path: Path, data: Path, files: dict[str, Any]) -> None:
    """Compare each of `files` (name -> size and checksum) with what lies in `data`.

    Raises:
        RetrieverError: one is missing, differs, or lies elsewhere; `path` is for the message.
    """
    for name, (size, checksum) in files.items():
        file = data / name
        if (
            data.is_symlink()
            or file.is_symlink()
            or not file.resolve().is_relative_to(data.resolve())
        ):
            raise RetrieverError(
                f"The index at {path} leads out of its folder: {name}.", "Do not use it."
            )
        if not file.is_file() or file.stat().st_size != size:
            raise RetrieverError(
                f"The index at {path} is half-written: {name} is missing or cut short.", AGAIN
            )
        if file_checksum(file) != checksum:
            raise RetrieverError(
                f"The index at {path} is damaged: {name} was changed after it was written.", AGAIN
            )


def _is_ours(generation: Path) -> bool:
    """Whether an index's writer made the folder.
    One that is empty is that of a process killed before it set the mark.
    """
    if generation.is_symlink() or not generation.is_dir():
        return False
    return (generation / MARK).is_file() or not any(generation.iterdir())


def is_being_written(generation: Path) -> bool:
    """Whether the process that made it still runs."""
    name = GENERATION.fullmatch(generation.name)
    assert name is not None  # only generations come here
    try:
        os.kill(int(name[1]), 0)
    except ProcessLookupError:
        return False
    except OSError:  # not ours to signal: it runs
        return True
    return True


def discard(generation: Path) -> None:
    """Remove a generation, its mark last:
    what a process killed meanwhile leaves is still known for one.
    """
    for entry in generation.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        elif entry.name != MARK:
            with suppress(OSError):
                entry.unlink()
    shutil.rmtree(generation, ignore_errors=True)


def file_checksum(file: Path) -> str:
    """The xxh3 digest of a file's bytes."""
    digest = xxhash.xxh3_128()
    with file.open("rb", buffering=0) as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
