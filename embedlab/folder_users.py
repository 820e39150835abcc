"""Which processes use a folder of EMBEDLAB_HOME (a space of the vector store, an export):
a file `<pid>.user` each, so that nobody removes it under them.
"""

import atexit
import os
from contextlib import suppress
from pathlib import Path

from leaderboard.storage.live import is_alive

_marked: set[Path] = set()


def enter(folder: Path) -> None:
    """Say until this process ends that it uses the folder, whose lock the caller holds.

    Raises:
        OSError: the disk cannot be written.
    """
    mark = folder / f"{os.getpid()}.user"
    mark.touch()
    if not _marked:
        atexit.register(_leave, os.getpid())
    _marked.add(mark)


def _leave(pid: int) -> None:
    if os.getpid() == pid:  # and not a fork of it
        for mark in _marked:
            with suppress(OSError):
                mark.unlink(missing_ok=True)


def in_use(folder: Path) -> bool:
    """Whether another process that still runs uses the folder, whose lock the caller holds; marks
    that killed processes left are removed.
    """
    users = False
    for mark in folder.glob("*.user"):
        pid = int(mark.stem) if mark.stem.isdecimal() else 0
        if pid == os.getpid():
            continue
        if pid and is_alive(pid):
            users = True
        else:
            mark.unlink(missing_ok=True)
    return users
