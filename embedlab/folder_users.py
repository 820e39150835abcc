"""Which processes use a folder of EMBEDLAB_HOME (a space of the vector store, an export):
a file `<pid>@<host>.user` each, so that nobody removes it under them.

Of this host, a process is there while its pid is; of another, which shares the disk, while its mark
is fresh: a thread renews the marks. No lock is needed: who comes marks the folder first and looks
into it then, who removes looks into it first and at the marks then.
"""

import atexit
import os
import re
import socket
import threading
from contextlib import suppress
from pathlib import Path

from leaderboard.storage.live import is_alive

_RENEWED, _FRESH = 600.0, 3600.0  # seconds: between renewals, and until a mark counts for nothing

_marked: set[Path] = set()
_keeper: list[int] = []  # pid of the process whose thread renews the marks


def enter(folder: Path) -> None:
    """Say until this process ends that it uses the folder.

    Raises:
        OSError: the disk cannot be written.
    """
    mark = folder / f"{os.getpid()}@{_host()}.user"
    mark.touch()
    if _keeper != [os.getpid()]:  # a fork has marks of its own
        _marked.clear()
        _keeper[:] = [os.getpid()]
        atexit.register(_leave, os.getpid())
        threading.Thread(target=_renew, args=(os.getpid(),), daemon=True).start()
    _marked.add(mark)


def in_use(folder: Path) -> bool:
    """Whether another process that still runs uses the folder;
    marks that killed processes left are removed.
    """
    users = False
    for mark in folder.glob("*.user"):
        pid, _, host = mark.stem.partition("@")
        if not pid.isdecimal():
            there = False
        elif host in ("", _host()):  # earlier versions name no host
            if int(pid) == os.getpid():
                continue
            there = is_alive(int(pid))
        else:
            there = age(mark) < _FRESH
        if there:
            users = True
        else:
            with suppress(OSError):
                mark.unlink(missing_ok=True)
    return users


def age(file: Path) -> float:
    """Seconds since a file was written, by the clock of the disk that it is on: other hosts' clocks
    may differ. 0 where it is gone, or the disk cannot be written.
    """
    probe = file.parent / f".{os.getpid()}@{_host()}.clock.part"
    try:
        probe.touch()
        return max(0.0, probe.stat().st_mtime - file.stat().st_mtime)
    except OSError:
        return 0.0
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)


def _host() -> str:
    return re.sub(r"[^\w.-]", "_", socket.gethostname())


def _renew(pid: int) -> None:
    while True:
        threading.Event().wait(_RENEWED)
        if os.getpid() != pid:
            return
        for mark in list(_marked):
            with suppress(OSError):
                os.utime(mark)  # and not `touch`, which would bring back a mark that was removed


def _leave(pid: int) -> None:
    if os.getpid() == pid:  # and not a fork of it
        for mark in _marked:
            with suppress(OSError):
                mark.unlink(missing_ok=True)
