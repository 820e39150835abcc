"""Many files into the store: in parallel, chunk by chunk,
each file once; what cannot be read is listed.

A chunk's runs and the names of its files are stored together, so that an import that was stopped
goes on where it was, and one that is repeated does nothing.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path

import pyarrow as pa

from leaderboard.errors import Malformed, Partial
from leaderboard.records import Run
from leaderboard.storage import rows
from leaderboard.storage.store import Store

Reader = Callable[[Path, bytes], list[Run]]
_known: frozenset[str] = frozenset()  # in a worker: digests of the files already imported


@dataclass
class Report:
    """What an import did: files read, already there, and not readable in part or whole
    (path, why), and runs stored.
    """

    files: int = 0
    known: int = 0
    runs: int = 0
    malformed: list[tuple[Path, str]] = field(default_factory=list)


@dataclass
class _Chunk:
    report: Report
    content: dict[str, pa.Table]
    imported: list[tuple[str, str]]


def import_files(
    store: Store,
    paths: Sequence[Path],
    read: Reader,
    *,
    processes: int | None = None,
    chunk: int = 1000,
    progress: Callable[[int], None] = lambda files: None,
) -> Report:
    """Store the runs of the files that were not imported before.

    Args:
        store: where to.
        paths: the files.
        read: a module's function, or a partial of one, that turns a path and the file's bytes into
            runs, or raises Malformed; Partial where only a part of the file cannot be read.
        processes: how many read at once; as many as there are processors by default.
        chunk: files that are stored in one transaction.
        progress: called with the number of files done since the last call.
    """
    total = Report()
    known = frozenset(store.query("SELECT digest FROM imported")["digest"].to_pylist())
    for part in _chunks(
        [paths[i : i + chunk] for i in range(0, len(paths), chunk)], read, known, processes
    ):
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


def _chunks(
    batches: list[Sequence[Path]], read: Reader, known: frozenset[str], processes: int | None
) -> Iterator[_Chunk]:
    processes = min(processes or os.cpu_count() or 1, len(batches))
    if processes <= 1:
        _start(known)
        yield from map(partial(_read, read=read), batches)
        return
    # spawn: the caller may hold threads (torch, Arrow) that a forked child would inherit locked.
    with ProcessPoolExecutor(processes, get_context("spawn"), _start, (known,)) as pool:
        waiting, pending = iter(batches), set()
        while True:
            # A few chunks ahead only, so that memory does not grow with the number of files.
            for batch in waiting:
                pending.add(pool.submit(_read, batch, read))
                if len(pending) > 2 * processes:
                    break
            if not pending:
                return
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()


def _start(known: frozenset[str]) -> None:
    global _known
    _known = known


def _read(paths: Sequence[Path], read: Reader) -> _Chunk:
    report, imported = Report(), list[tuple[str, str]]()
    runs: dict[str, Run] = {}
    for path in paths:
        try:
            content = path.read_bytes()
            # The model stands in the path alone: equal bytes of two models are two files.
            digest = sha256("/".join(path.parts[-3:]).encode() + b"\n" + content).hexdigest()
            if digest in _known:
                report.known += 1
                continue
            try:
                parsed = read(path, content)
            except Partial as error:  # the rest of the file counts
                parsed = error.runs
                report.malformed.append((path, str(error)))
            runs |= {run.id: run for run in parsed}
        except (Malformed, OSError) as error:
            report.malformed.append((path, str(error)))
            continue
        report.files += 1
        imported.append((digest, "/".join(path.parts[-3:])))
    report.runs = len(runs)
    return _Chunk(report, rows.tables(list(runs.values())), imported)
