"""An index on disk: a folder whose manifest names one generation of files, and changes to the next
in one step.

    my-index/index.json           signature, settings, every file's size and checksum, and a
    checksum of itself my-index/data-4711-x8r2k1/    the files; indexes inside it (of a fusion) are
    such folders again

A generation is written whole before the manifest is replaced, so the older index is there until the
new one is, wherever the process is stopped. What this module did not write itself is never removed.
"""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile

import xxhash

from retrievers.errors import RetrieverError

MANIFEST = "index.json"
_SIGNATURE = "retrievers index"
_FORMAT = 2
_MARK = (  # the first file of a generation: a folder without it is somebody else's, whatever its name
    ".generation"
)
_GENERATION = re.compile(r"data-(\d+)-\w+")  # the process that writes it, and a random part
_AGAIN = "Build it again."
_BLOCK = 1 << 22  # bytes read at a time for a checksum
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
    outdated = _outdated(home)
    data = Path(tempfile.mkdtemp(prefix=f"data-{os.getpid()}-", dir=home))
    try:
        data.chmod(0o755)
        (data / _MARK).write_text(_SIGNATURE, encoding="utf-8")
        fill(data)
        files = {}
        for file in _files(data):
            files[file.relative_to(data).as_posix()] = [file.stat().st_size, _checksum(file)]
            _sync(file)
        whole = {
            "signature": _SIGNATURE,
            "format": _FORMAT,
            **manifest,
            "data": data.name,
            "files": files,
            "replaces": outdated,
        }
        new = data / f".{MANIFEST}"
        new.write_text(
            json.dumps({**whole, "checksum": _checksum_of(whole)}, indent=1), encoding="utf-8"
        )
        _sync(new)
        new.replace(home / MANIFEST)
        _sync(home)
    except BaseException:
        _discard(data)
        if made:
            with suppress(OSError):  # another process writes there too
                home.rmdir()
        raise
    for left in _generations(home):
        if left != data and (left.name in outdated or not _being_written(left)):
            _discard(left)


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
    if home.is_dir() and (is_index(home) or _generations(home) == sorted(home.iterdir())):
        return  # an index; or an empty folder; or what a process left that was killed while it wrote the first one
    if path.is_symlink() and not home.exists():
        raise RetrieverError(
            f"{path} is a link to {home}, which is not there.", "Name a folder, or mend the link."
        )
    raise RetrieverError(
        f"{path} exists and is not an index.", "Name a new folder, or an index to replace."
    )


def is_index(path: Path) -> bool:
    """Whether this module wrote the folder at `path`; says nothing of its state."""
    try:
        return bool(_signed(Path(path))["signature"] == _SIGNATURE)
    except (OSError, ValueError, RecursionError, LookupError, TypeError):
        return False


def read(path: Path, use: Callable[[dict[str, Any], Path], T]) -> T:
    """What `use` makes of the manifest and the folder of files, each of which has been compared
    with its checksum.

    Where the index is replaced in the meantime, the new one is read from the start: what comes back
    is of one moment.

    Raises:
        RetrieverError: there is no index, or it is damaged, half-written, or of another version.
    """
    path = Path(path)
    while True:
        manifest = read_manifest(path)
        # Absolute: what reads it later, and the JVM, know another working directory than the one it
        # was named in.
        data = (path / manifest["data"]).absolute()
        try:
            _verify(path, data, manifest["files"])
            return use(manifest, data)
        except (RetrieverError, *_UNREADABLE) as error:
            if _current(path) not in (None, manifest["data"]):
                continue
            if isinstance(error, RetrieverError):
                raise
            raise RetrieverError(
                f"The index at {path} cannot be read: {type(error).__name__}: {error}", _AGAIN
            ) from error


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of the index at `path`.

    Raises:
        RetrieverError: there is no index, its manifest is damaged, or another version wrote it.
    """
    path = Path(path)
    if not path.is_dir():
        raise RetrieverError(
            f"There is no index at {path}.",
            "Build one: embedlab index --corpus DIR --out " + str(path),
        )
    try:
        manifest = _signed(path)
    except FileNotFoundError:
        raise RetrieverError(
            f"{path} is not an index, or a half-written one: {MANIFEST} is missing.", _AGAIN
        ) from None
    except (ValueError, RecursionError):
        raise RetrieverError(
            f"The index at {path} is damaged: {MANIFEST} is no JSON.", _AGAIN
        ) from None
    except OSError as error:
        raise RetrieverError(
            f"The index at {path} cannot be read: {error.strerror}.", "Check its permissions."
        ) from error
    if not isinstance(manifest, dict) or manifest.get("signature") != _SIGNATURE:
        raise RetrieverError(
            f"{path} is not an index: its {MANIFEST} is another program's, or older.", _AGAIN
        )
    if manifest.pop("checksum", None) != _checksum_of(manifest):
        raise RetrieverError(
            f"The index at {path} is damaged: {MANIFEST} was changed after it was written.", _AGAIN
        )
    if (found := manifest.get("format")) != _FORMAT:
        raise RetrieverError(f"The index at {path} has format {found}, not {_FORMAT}.", _AGAIN)
    if not _GENERATION.fullmatch(str(manifest.get("data"))) or not isinstance(
        manifest.get("files"), dict
    ):
        raise RetrieverError(f"The index at {path} is damaged: {MANIFEST} names no files.", _AGAIN)
    return manifest


def identity(path: Path) -> str:
    """A digest of what the index at `path` and those inside it are of: models, settings,
    corpora.
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
    return _checksum_of({"says": says, "inside": inside})


def size_on_disk(path: Path) -> int:
    """Bytes of the index at `path`: its manifest and its files, of indexes inside it too."""
    data = Path(path) / read_manifest(path)["data"]
    files = (file for file in data.rglob("*") if file.is_file())
    return int((Path(path) / MANIFEST).stat().st_size + sum(file.stat().st_size for file in files))


def _signed(path: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((path / MANIFEST).read_bytes())
    return manifest


def _current(path: Path) -> str | None:
    """The generation that the manifest names now; None where that cannot be told."""
    try:
        data: str | None = _signed(path)["data"]
        return data
    except (OSError, ValueError, RecursionError, LookupError, TypeError):
        return None


def _outdated(home: Path) -> list[str]:
    """The generations that a new one replaces: the present one, and what a killed process did not
    come to remove.
    """
    try:
        manifest = _signed(home)
        names = (
            [manifest["data"], *manifest["replaces"]] if manifest["signature"] == _SIGNATURE else []
        )
    except (OSError, ValueError, RecursionError, LookupError, TypeError):
        return []
    return [name for name in names if _GENERATION.fullmatch(str(name)) and (home / name).is_dir()]


def _verify(path: Path, data: Path, files: dict[str, Any]) -> None:
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
                f"The index at {path} is half-written: {name} is missing or cut short.", _AGAIN
            )
        if _checksum(file) != checksum:
            raise RetrieverError(
                f"The index at {path} is damaged: {name} was changed after it was written.", _AGAIN
            )


def _files(data: Path) -> list[Path]:
    """The files below `data`; of an index inside it the manifest alone, which vouches for the
    rest.
    """
    found = []
    for entry in sorted(data.iterdir()):
        if not entry.is_dir():
            found.append(entry)
        elif is_index(entry):
            found.append(entry / MANIFEST)
        else:
            found += _files(entry)
    return found


def _generations(home: Path) -> list[Path]:
    return sorted(
        entry for entry in home.iterdir() if _GENERATION.fullmatch(entry.name) and _is_ours(entry)
    )


def _is_ours(generation: Path) -> bool:
    """Whether this module made the folder. One that is empty is that of a process killed before it
    set the mark.
    """
    if generation.is_symlink() or not generation.is_dir():
        return False
    return (generation / _MARK).is_file() or not any(generation.iterdir())


def _discard(generation: Path) -> None:
    """Remove a generation, its mark last: what a process killed meanwhile leaves is still known for
    one.
    """
    for entry in generation.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        elif entry.name != _MARK:
            with suppress(OSError):
                entry.unlink()
    shutil.rmtree(generation, ignore_errors=True)


def _being_written(generation: Path) -> bool:
    """Whether the process that made it still runs."""
    name = _GENERATION.fullmatch(generation.name)
    assert name is not None  # only generations come here
    try:
        os.kill(int(name[1]), 0)
    except ProcessLookupError:
        return False
    except OSError:  # not ours to signal: it runs
        return True
    return True


def _checksum(file: Path) -> str:
    digest = xxhash.xxh3_128()
    with file.open("rb", buffering=0) as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _checksum_of(manifest: dict[str, Any]) -> str:
    return xxhash.xxh3_128_hexdigest(json.dumps(manifest, sort_keys=True).encode())


def _sync(path: Path) -> None:
    """Have the disk hold what was written, so that a power cut cannot keep the manifest and lose
    the files.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
