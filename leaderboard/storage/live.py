"""Evaluations that are running now: one small JSON file each,
beside the results, for the dashboard to read.

    results.files/live/<pid>-<id>.json     the fields of `Progress`

A file is replaced as a whole, so that a reader never meets half of one. `clear` removes it when the
evaluation ends; what a killed process left behind is removed by the next reader.
"""

import json
import os
import time
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from leaderboard.atomic_files import atomic_write
from leaderboard.plain_json import from_json

_SILENT = 30.0  # seconds after which the file of a process that is gone counts as left behind
_ABANDONED = 3600.0  # seconds after which any file does: the process may be on another machine


@dataclass(frozen=True)
class Progress:
    """How far one evaluation is. Times are seconds since 1970;
    `rate` is units per second, 0 while unknown.
    """

    model: str
    task: str
    phase: str  # load, encode queries, encode documents, index, search, score
    done: int = 0
    total: int = 0  # 0: unknown
    rate: float = 0.0
    started: float = field(default_factory=time.time)
    updated: float = field(default_factory=time.time)
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    pid: int = field(default_factory=os.getpid)

    @property
    def share(self) -> float:
        """Part of the phase that is done, 0 to 1."""
        return min(1.0, max(0.0, self.done / self.total)) if self.total else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Of the phase, at the present rate; None while unknown."""
        return max(0, self.total - self.done) / self.rate if self.rate > 0 and self.total else None


def publish(db: str | Path, progress: Progress) -> None:
    """Say how far an evaluation is, in place of what it said before
    (`dataclasses.replace` keeps id and start).

    Args:
        db: the results file beside which the folder lies.
        progress: its `updated` is set to now.

    Problems of the disk are passed over: an evaluation must not fail for the sake of its progress.
    """
    target = _path(db, progress)
    with suppress(OSError):
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(target) as temporary:
            temporary.write_text(
                json.dumps(asdict(replace(progress, updated=time.time()))), encoding="utf-8"
            )


def clear(db: str | Path, progress: Progress) -> None:
    """The evaluation has ended."""
    with suppress(OSError):
        _path(db, progress).unlink(missing_ok=True)


def read(db: str | Path) -> list[Progress]:
    """The evaluations that are running now, longest first;
    stale and unreadable files are removed.
    """
    running = []
    for path in _folder(db).glob("*.json"):
        try:
            progress = Progress(**from_json(path.read_bytes()))
            current = not _is_stale(progress)
        except FileNotFoundError:  # it ended meanwhile
            continue
        except (OSError, TypeError, ValueError):
            current = False
        if current:
            running.append(progress)
        else:
            with suppress(OSError):
                path.unlink(missing_ok=True)
    return sorted(running, key=lambda progress: progress.started)


def _is_stale(progress: Progress) -> bool:
    silent = time.time() - progress.updated
    return silent > _ABANDONED or (silent > _SILENT and not is_alive(progress.pid))


def is_alive(pid: int) -> bool:
    """Whether a process runs."""
    if os.name != "posix":  # elsewhere signal 0 would end the process
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _folder(db: str | Path) -> Path:
    return Path(db).with_suffix(".files") / "live"


def _path(db: str | Path, progress: Progress) -> Path:
    return _folder(db) / f"{progress.pid}-{progress.id}.json"
