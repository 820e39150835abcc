"""A disk that is full, read-only, or somebody else's, under a command line:
python full.py JOB PLACE CASE...

A case is a number of bytes that are left, `read-only` or `forbidden`, each on a disk of its own
(which takes root on Linux), or `limit=BYTES`, beyond which no file may grow. The command ends with
exit code 2 and one message or with 0; what was there is there, no file is half made, and without
the hindrance the same command goes through and makes what it makes undisturbed. Prints a JSON list.
"""

import ctypes
import json
import os
import re
import resource
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from killing import Refused, Undisturbed, forked

_NEW_NAMESPACE, _PRIVATE, _RECURSIVE, _REMOUNT, _READ_ONLY = 0x20000, 1 << 18, 1 << 14, 32, 1
_OVERRIDE = 2  # CAP_DAC_OVERRIDE: root may write whatever the permissions say
_LIBC = ctypes.CDLL(None, use_errno=True)
_SIZE = 48 << 20


def may_mount() -> bool:
    """Whether this process may have mounts of its own."""
    return sys.platform == "linux" and forked(_own_mounts) == (None, None)


def _own_mounts() -> None:
    _must(_LIBC.unshare(_NEW_NAMESPACE))
    _mount("none", "/", None, _RECURSIVE | _PRIVATE, None)


def _mount(source: str, target: str, kind: str | None, flags: int, options: str | None) -> None:
    words = [
        word.encode() if word is not None else None for word in (source, target, kind, options)
    ]
    _must(_LIBC.mount(words[0], words[1], words[2], flags, words[3]))


def _must(failed: int) -> None:
    if failed:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


@contextmanager
def _hindered(work: Path, how: str) -> Iterator[None]:
    if how.startswith("limit="):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(how.removeprefix("limit=")), before[1]))
        yield
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    elif how == "read-only":
        _mount("tmpfs", str(work), None, _REMOUNT | _READ_ONLY, None)
        yield
        _mount("tmpfs", str(work), None, _REMOUNT, None)
    elif how == "forbidden":
        modes = {path: path.stat().st_mode for path in [work, *work.rglob("*")]}
        for path, mode in modes.items():
            path.chmod(mode & ~0o222)
        rights = _override(on=False)
        yield
        _override(on=bool(rights))
        for path, mode in modes.items():
            path.chmod(mode)
    else:
        filler = work / "filler"
        filler.write_bytes(bytes(max(shutil.disk_usage(work).free - int(how), 0)))
        yield
        filler.unlink()


def _override(*, on: bool) -> int:
    """Switch the right to write whatever the permissions say; gives what it was."""
    header, rights = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    _must(_LIBC.capget(header, rights))
    before = rights[0] & _OVERRIDE
    rights[0] = rights[0] & ~_OVERRIDE | _OVERRIDE * on
    _must(_LIBC.capset(header, rights))
    return before


def _case(undisturbed: Undisturbed, how: str) -> tuple[int, str, str]:
    """Exit code and message under the hindrance,
    and what is wrong with them or afterwards, if anything.
    """
    place = undisturbed.place
    if not how.startswith("limit="):
        _own_mounts()
        place.work.mkdir(exist_ok=True)
        _mount("tmpfs", str(place.work), "tmpfs", 0, f"size={_SIZE}")
    place.anew()

    def run(work: Path) -> tuple[int, str]:
        with _hindered(work, how):
            try:
                undisturbed.job.run(work)
            except Refused as refused:
                return refused.code, refused.err
            return 0, ""

    code, err = place.fine(run)[0]
    if (
        code not in (0, 2)
        or (code and len(re.findall("^Error: ", err, re.M)) != 1)
        or re.search("Traceback|--debug", err)
    ):
        return code, err, f"exit code {code}: {err}"
    if code == 0 and how in ("read-only", "forbidden"):
        return code, err, "it says that it was done"
    return code, err, undisturbed.wrong_afterwards()


def main(name: str, folder: Path, cases: list[str]) -> None:
    undisturbed, found = Undisturbed(name, folder), []
    for how in cases:
        answer, died = forked(lambda how=how: _case(undisturbed, how))
        code, said, wrong = answer or (None, "", died)
        found.append({"case": how, "code": code, "said": said[-1500:], "wrong": wrong[-2500:]})
    print(json.dumps(found))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
