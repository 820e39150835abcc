"""The documents of BEIR folders as Arrow files, read where they lie on disk.

    EMBEDLAB_HOME/corpora/<digest of its content>/corpus.arrow   id, title, text, in its own order
                                                 /corpus.json    of which file, how many, checksum

A corpus is converted once, line by line, and checked by its checksum whenever it is opened. Where
EMBEDLAB_HOME cannot be written the file lies in a temporary folder until the process ends.
"""

import mmap
import tempfile
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from embedlab import json_cache, kept_folders
from embedlab.errors import UserError
from embedlab.resources import home
from embedlab.terminal import echo

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

Document = tuple[str, str, str]  # id, title, text
_BATCH = 10_000  # documents of a record batch
_BATCH_BYTES = 1 << 24  # and about of its texts
_LONG = 1 << 28  # bytes of a file whose conversion is worth a line
_LOOKED_AT = 1 << 25  # bytes of a corpus whose pages are given back

_mapped: "WeakSet[mmap.mmap]" = WeakSet()
_temporary: "list[tempfile.TemporaryDirectory[str]]" = []  # removed when the process ends


def opened(digest: str, source: Path, documents: Callable[[], Iterator[Document]]) -> "Dataset":
    """The corpus with this digest, as a data set on disk.

    Args:
        digest: of the content of `source`.
        documents: gives those of `source`; asked where they are not kept yet.

    Raises:
        UserError: no disk has room for it, or what `documents` raises.
    """
    folder, make = home() / "corpora" / digest[:32], partial(_write, source, documents)
    try:
        kept_folders.made(folder, make, _told_fault)
    except OSError as error:
        if not folder.is_dir() or fault(folder):
            folder = _beside(make, error)
    return _read(folder, digest)


def known(corpus: "Dataset", ids: Collection[str]) -> set[str]:
    """Those of the ids that documents of the corpus have."""
    import pyarrow as pa
    from pyarrow import compute

    column = corpus.data.column("id")
    there = compute.is_in(column, value_set=pa.array(ids, pa.string()))
    return set(column.filter(there).to_pylist())


def give_back() -> None:
    """Let go of the pages of corpora that were read: the system keeps them while it has room, and
    they no longer count as this process's memory.
    """
    for file in _mapped:
        if len(file) > _LOOKED_AT:
            file.madvise(mmap.MADV_DONTNEED)


def kept() -> list[dict[str, Any]]:
    """What is kept: source, documents, bytes, folder."""
    return [
        {
            "source": facts.get("source", "?"),
            "documents": facts.get("documents", 0),
            "bytes": kept_folders.size(folder),
            "folder": folder.name,
        }
        for folder in kept_folders.whole(_root())
        for facts in [_facts(folder)]
    ]


def sizes() -> dict[str, int]:
    """Bytes by the file that each corpus was made of."""
    found: dict[str, int] = {}
    for each in kept():
        found[each["source"]] = found.get(each["source"], 0) + each["bytes"]
    return dict(sorted(found.items()))


def fault(folder: Path) -> str:
    """What is wrong with a kept corpus; empty where nothing is."""
    file, facts = folder / "corpus.arrow", _facts(folder)
    if not facts:
        return f"{folder.name}/corpus.json is damaged"
    if not file.is_file():
        return f"{folder.name}/corpus.arrow is missing"
    if kept_folders.checksum(file) != facts.get("xxh3"):
        return f"{folder.name}/corpus.arrow does not match its checksum"
    return ""


def verify() -> list[str]:
    """What is wrong with any corpus that is kept, one line each."""
    return [problem for folder in kept_folders.whole(_root()) if (problem := fault(folder))]


def prune(matching: str = "") -> int:
    """Remove what killed conversions left, corpora whose file is gone or was changed, and those
    whose file's path contains `matching`.

    One that a process uses stays.

    Returns:
        the bytes that were freed.
    """
    freed = kept_folders.prune(_root())
    for folder in kept_folders.whole(_root()):
        facts = _facts(folder)
        source = Path(facts.get("source", ""))
        if _state(source) != facts.get("state") or (
            matching and matching.lower() in str(source).lower()
        ):
            freed += kept_folders.remove(folder)
    return freed


def _write(source: Path, documents: Callable[[], Iterator[Document]], folder: Path) -> None:
    import pyarrow as pa

    schema = pa.schema([(name, pa.string()) for name in ("id", "title", "text")])
    state, count, file = _state(source), 0, folder / "corpus.arrow"
    if state and state[0] > _LONG:
        echo(f"{source} is written into {_root()} as Arrow, once.", err=True)
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, schema) as stream:
        for batch in _batches(documents()):
            stream.write_batch(pa.record_batch(list(zip(*batch, strict=True)), schema=schema))
            count += len(batch)
    facts = {"source": str(source.resolve()), "state": state, "documents": count}
    json_cache.write(folder / "corpus.json", {**facts, "xxh3": kept_folders.checksum(file)})


def _batches(documents: Iterator[Document]) -> Iterator[list[Document]]:
    batch: list[Document] = []
    length = 0
    for document in documents:
        batch.append(document)
        length += 4 * sum(map(len, document))  # no character has more bytes
        if len(batch) == _BATCH or length > _BATCH_BYTES:
            yield batch
            batch, length = [], 0
    if batch:
        yield batch


def _read(folder: Path, digest: str) -> "Dataset":
    from datasets import Dataset
    from datasets.table import InMemoryTable

    # A mapping of our own, and no data set of a file: `give_back` needs the one, and the others
    # write what they are mapped to beside their file.
    with (folder / "corpus.arrow").open("rb") as file:
        mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    _mapped.add(mapping)
    table = _table(mapping)
    if table.num_rows != _facts(folder).get("documents"):  # locks that do not hold, on some disks
        raise UserError(
            f"Another process writes the corpus in {folder} at the same time.", "Run again."
        )
    return Dataset(InMemoryTable(table), fingerprint=digest[:16])


def _table(mapping: mmap.mmap) -> "pa.Table":
    import pyarrow as pa

    return pa.ipc.open_stream(pa.py_buffer(mapping)).read_all()


def _beside(make: Callable[[Path], None], error: OSError) -> Path:
    """A folder that lasts as long as the process."""
    place = None
    try:
        place = tempfile.TemporaryDirectory(prefix="embedlab-corpus-")
        make(Path(place.name))
    except OSError as second:
        if place:
            place.cleanup()
        raise UserError(
            f"The corpus cannot be written to disk: {second}.",
            "Free some space (`embedlab cache prune`), or set EMBEDLAB_HOME or TMPDIR to a folder"
            " with more.",
        ) from error
    _temporary.append(place)
    return Path(place.name)


def _told_fault(folder: Path) -> str:
    if problem := fault(folder):
        echo(f"Corpora: {problem}; it is made again.", err=True)
    return problem


def _facts(folder: Path) -> dict[str, Any]:
    try:
        return json_cache.read(folder / "corpus.json")
    except (OSError, ValueError):
        return {}


def _state(source: Path) -> list[int]:
    """Size and time of a file; empty where there is none."""
    try:
        found = source.stat()
    except OSError:
        return []
    return [found.st_size, found.st_mtime_ns]


def _root() -> Path:
    return home() / "corpora"
