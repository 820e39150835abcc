"""Many files into the store: in parallel, chunk by chunk,
each file once; what cannot be read is listed.

A chunk's runs and what its files were like are stored together, so that an import that was stopped
goes on where it was, and one that is repeated reads what has changed alone.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from leaderboard.errors import Malformed, MalformedBeside, Partial
from leaderboard.records import Run
from leaderboard.storage import rows
from leaderboard.storage.imported import ImportedFile
from leaderboard.storage.store import Store

Reader = Callable[[Path, bytes], list[Run]]


@dataclass
class Report:
    """What an import did: files read, already there, and not readable in part or whole
    (path, why), and runs stored.
    """

    files: int = 0
    known: int = 0
    runs: int = 0
    malformed: list[tuple[Path, str]] = field(default_factory=list)

    def passed_over(self, path: Path, runs: int, problem: str | None) -> None:
        """Count a file that was imported before."""
        self.known += runs > 0 or not problem
        if problem:
            self.malformed.append((path, problem))


class Unread(NamedTuple):
    """The files that are new, or not what they were: path and state; and what is known of the
    others.
    """

    files: list[tuple[Path, str]]
    report: Report
    reader: str


class _Before(NamedTuple):
    """What a file gave when it was imported."""

    runs: int
    problem: str | None


@dataclass
class _Chunk:
    report: Report
    content: dict[str, pa.Table]
    imported: list[ImportedFile]


_known: Mapping[str, _Before] = {}  # in a worker: the files already imported, by digest


def import_files(
    store: Store,
    paths: Sequence[Path],
    read: Reader,
    *,
    processes: int | None = None,
    chunk: int = 1000,
    progress: Callable[[int], None] = lambda files: None,
) -> Report:
    """Store the runs of the files that are not as they were when they were imported before.

    Args:
        store: where to.
        paths: the files.
        read: a module's function, or a partial of one, that turns a path and the file's bytes into
            runs, or raises Malformed; Partial where only a part of the file cannot be read.
        processes: how many read at once; as many as there are processors by default.
        chunk: files that are stored in one transaction.
        progress: called with the number of files done since the last call.
    """
    return import_unread(
        store, unread(store, paths), read, processes=processes, chunk=chunk, progress=progress
    )


def unread(store: Store, paths: Sequence[Path], reader: str = "") -> Unread:
    """The files to read: those whose size or times differ from what they were.

    Args:
        reader: versions of what will read them; a file of which another could not read all is
            read again.
    """
    before = {
        row["file"]: row
        for row in store.query(
            "SELECT file, state, runs, problem, reader FROM imported WHERE file IS NOT NULL"
            " ORDER BY created"
        ).to_pylist()
    }
    report, files = Report(), []
    for path in paths:
        state, was = _state(path), before.get(str(path.absolute()))
        if was and was["state"] == state and (not was["problem"] or was["reader"] == reader):
            report.passed_over(path, was["runs"], was["problem"])
        else:
            files.append((path, state))
    return Unread(files, report, reader)


def import_unread(
    store: Store,
    new: Unread,
    read: Reader,
    *,
    processes: int | None = None,
    chunk: int = 1000,
    progress: Callable[[int], None] = lambda files: None,
) -> Report:
    """Store the runs of the files that `unread` named; everything else as in `import_files`."""
    total = new.report
    imported = store.query("SELECT digest, runs, problem, reader FROM imported").to_pylist()
    known = {
        row["digest"]: _Before(row["runs"] or 0, row["problem"])
        for row in imported
        if not row["problem"] or row["reader"] == new.reader
    }
    batches = [new.files[i : i + chunk] for i in range(0, len(new.files), chunk)]
    for part in _chunks(batches, partial(_read, read=read, reader=new.reader), known, processes):
        if part.imported:
            store.add_tables(part.content, part.imported)
        for name in ("files", "known", "runs", "malformed"):
            setattr(total, name, getattr(total, name) + getattr(part.report, name))
        progress(part.report.files + part.report.known + len(part.report.malformed))
    return total


def result_files(folder: Path) -> list[Path]:
    """MTEB's result files under `folder`; those of mteb's experiments
    (views of a model) are left out.
    """
    return sorted(
        path
        for path in folder.rglob("*.json")
        if path.name != "model_meta.json" and "experiments" not in path.relative_to(folder).parts
    )


def _state(path: Path) -> str:
    """Changes whenever the file is written or put in another's place; empty for one that cannot
    be looked at.
    """
    try:
        found = path.stat()
    except OSError:
        return ""
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"


def _chunks(
    batches: list[list[tuple[Path, str]]],
    read: Callable[[Sequence[tuple[Path, str]]], _Chunk],
    known: Mapping[str, _Before],
    processes: int | None,
) -> Iterator[_Chunk]:
    processes = min(processes or os.cpu_count() or 1, len(batches))
    if processes <= 1:
        _start(known)
        yield from map(read, batches)
        return
    # spawn: the caller may hold threads (torch, Arrow) that a forked child would inherit locked.
    with ProcessPoolExecutor(processes, get_context("spawn"), _start, (known,)) as pool:
        waiting, pending = iter(batches), set()
        while True:
            # A few chunks ahead only, so that memory does not grow with the number of files.
            for batch in waiting:
                pending.add(pool.submit(read, batch))
                if len(pending) > 2 * processes:
                    break
            if not pending:
                return
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()


def _start(known: Mapping[str, _Before]) -> None:
    global _known
    _known = known


def _read(files: Sequence[tuple[Path, str]], read: Reader, reader: str) -> _Chunk:
    report, imported = Report(), list[ImportedFile]()
    runs: dict[str, Run] = {}
    for path, state in files:
        name = "/".join(path.parts[-3:])
        try:
            content = path.read_bytes()
        except OSError as error:
            report.malformed.append((path, str(error)))
            continue
        # The model stands in the path alone: equal bytes of two models are two files.
        digest = sha256(name.encode() + b"\n" + content).hexdigest()
        if before := _known.get(digest):
            report.passed_over(path, *before)
            found, problem = before
        else:
            try:
                parsed, problem = _parsed(path, content, read)
            except MalformedBeside as error:  # not this file's fault: read again the next time
                report.malformed.append((path, str(error)))
                continue
            found = len(parsed)
            runs |= {run.id: run for run in parsed}
            report.files += found > 0
            if problem:
                report.malformed.append((path, problem))
        file = str(path.absolute())
        imported.append(ImportedFile(digest, name, file, state, found, problem, reader))
    report.runs = len(runs)
    return _Chunk(report, rows.tables(list(runs.values())), imported)


def _parsed(path: Path, content: bytes, read: Reader) -> tuple[list[Run], str | None]:
    """The runs that a file gives, and what cannot be read of it."""
    try:
        return read(path, content), None
    except Partial as error:  # the rest of the file counts
        return error.runs, str(error)
    except MalformedBeside:
        raise
    except Malformed as error:
        return [], str(error)
