"""An index on disk: a folder whose manifest names one generation of files,
and changes to the next in one step.

    my-index/index.json           signature, settings, every file's size and checksum,
                                  and a checksum of itself
    my-index/data-4711-x8r2k1/    the files; indexes inside it (of a fusion) are such folders again

A generation is written whole before the manifest is replaced, so the older index is there until the
new one is, wherever the process is stopped. What this module did not write itself is never removed.
"""

import json
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile

from retrievers.errors import RetrieverError
from retrievers.index_generations import (
    MARK,
    discard,
    file_checksum,
    files_of,
    generations,
    is_being_written,
    outdated_generations,
    verify,
)
from retrievers.index_manifest import (
    AGAIN,
    FORMAT,
    MANIFEST,
    SIGNATURE,
    is_index,
    manifest_checksum,
    named_generation,
    read_manifest,
)

__all__ = [
    "MANIFEST", "check_target", "identity", "is_index", "read", "read_manifest", "size_on_disk",
    "write",
]  # fmt: skip

# What reading files that do not fit together ends in.
_UNREADABLE = (
    OSError,
    EOFError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    BadZipFile,
)

T = TypeVar("T")


def write(path: Path, manifest: dict[str, Any], fill: Callable[[Path], None]) -> None:
    """Let `fill` write the index's files into a new generation, then let the manifest name it.

    A link at `path` stays a link: what it leads to is written. Files of others in an index's folder
    stay.

    Raises:
        RetrieverError: `path` exists and is not an index, or cannot be written (disk full, no
            permission).
    """
    check_target(path)
    home = Path(path).resolve()
    try:
        _write(home, manifest, fill)
    except OSError as error:
        raise RetrieverError(
            f"The index at {path} cannot be written: {error.strerror or error}.",
            "Nothing was changed. Free some space, or name another folder.",
        ) from error


def _write(home: Path, manifest: dict[str, Any], fill: Callable[[Path], None]) -> None:
    made = not home.exists()
    home.mkdir(parents=True, exist_ok=True)
    outdated = outdated_generations(home)
    data = Path(tempfile.mkdtemp(prefix=f"data-{os.getpid()}-", dir=home))
    try:
        data.chmod(0o755)
        (data / MARK).write_text(SIGNATURE, encoding="utf-8")
        fill(data)
        files = {}
        for file in files_of(data):
            files[file.relative_to(data).as_posix()] = [file.stat().st_size, file_checksum(file)]
            _sync(file)
        content = {
            "signature": SIGNATURE,
            "format": FORMAT,
            **manifest,
            "data": data.name,
            "files": files,
            "replaces": outdated,
        }
        new = data / f".{MANIFEST}"
        new.write_text(
            json.dumps({**content, "checksum": manifest_checksum(content)}, indent=1),
            encoding="utf-8",
        )
        _sync(new)
        new.replace(home / MANIFEST)
        _sync(home)
    except BaseException:
        discard(data)
        if made:
            with suppress(OSError):  # another process writes there too
                home.rmdir()
        raise
    for left in generations(home):
        if left != data and (left.name in outdated or not is_being_written(left)):
            discard(left)


def check_target(path: Path) -> None:
    """Refuse to write an index over something else.

    Raises:
        RetrieverError: `path` is a file, or a folder with other things than an index that this
            module wrote.
    """
    path = Path(path)
    if not os.path.lexists(path):
        return
    try:
        home = path.resolve()
    except (OSError, RuntimeError):  # Python 3.11 and 3.13 on links that lead in a circle
        raise RetrieverError(
            f"{path} is a link that leads back to itself.", "Name a folder."
        ) from None
    if home.is_dir() and (is_index(home) or generations(home) == sorted(home.iterdir())):
        # An index; an empty folder; or what a process killed while writing the first one left.
        return
    if path.is_symlink() and not home.exists():
        raise RetrieverError(
            f"{path} is a link to {home}, which is not there.", "Name a folder, or mend the link."
        )
    raise RetrieverError(
        f"{path} exists and is not an index.", "Name a new folder, or an index to replace."
    )


def read(path: Path, use: Callable[[dict[str, Any], Path], T]) -> T:
    """What `use` makes of the manifest and the folder of files,
    each of which has been compared with its checksum.

    Where the index is replaced in the meantime, the new one is read from the start: what comes back
    is of one moment.

    Raises:
        RetrieverError: there is no index, or it is damaged, half-written, or of another version.
    """
    path = Path(path)
    while True:
        manifest = read_manifest(path)
        # Absolute: what reads it later, and the JVM,
        # know another working directory than the one it was named in.
        data = (path / manifest["data"]).absolute()
        try:
            verify(path, data, manifest["files"])
            return use(manifest, data)
        except (RetrieverError, *_UNREADABLE) as error:
            if named_generation(path) not in (None, manifest["data"]):
                continue
            if isinstance(error, RetrieverError):
                raise
            raise RetrieverError(
                f"The index at {path} cannot be read: {type(error).__name__}: {error}", AGAIN
            ) from error


def identity(path: Path) -> str:
    """A digest of what the index at `path` and those inside it are of:
    models, settings, corpora.
    """
    manifest = read_manifest(path)
    data = Path(path) / manifest["data"]
    says = {
        key: value for key, value in manifest.items() if key not in ("data", "files", "replaces")
    }
    inside = [
        identity((data / name).parent)
        for name in sorted(manifest["files"])
        if name.endswith(f"/{MANIFEST}")
    ]
    return manifest_checksum({"says": says, "inside": inside})


def size_on_disk(path: Path) -> int:
    """Bytes of the index at `path`: its manifest and its files, of indexes inside it too."""
    data = Path(path) / read_manifest(path)["data"]
    files = (file for file in data.rglob("*") if file.is_file())
    return int((Path(path) / MANIFEST).stat().st_size + sum(file.stat().st_size for file in files))


def _sync(path: Path) -> None:
    """Have the disk hold what was written,
    so that a power cut cannot keep the manifest and lose the files.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
