"""What the bases that were written out take on disk (EMBEDLAB_HOME/bases/NAME/DIGEST), and removing
it: a base is written again from its package or model when it is needed.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from embedlab.errors import unknown
from embedlab.resources import home

LOCK = "lock"  # in a base's folder: whoever writes into it holds it


def sizes() -> dict[str, int]:
    """Bytes by the name of each base that is there."""
    found = {
        place.name: sum(map(_size, place.iterdir()))
        for place in _places()
        if any(_is_whole(path) for path in place.iterdir())
    }
    return dict(sorted(found.items()))


def prune(matching: str = "") -> int:
    """Remove what killed processes left half written, and the bases whose name contains `matching`.

    One that a process is writing stays.

    Returns:
        the bytes that were freed.

    Raises:
        UserError: no base has such a name.
    """
    if matching and not any(matching.lower() in name.lower() for name in sizes()):
        raise unknown("base on disk", matching, sizes(), "Type `embedlab cache du` for all.")
    freed = 0
    for place in _places():
        try:
            with FileLock(place / LOCK, timeout=0):
                for path in place.iterdir():
                    whole = _is_whole(path)
                    if path.is_dir() and (not whole or (matching and _fits(place, matching))):
                        freed += _size(path)
                        shutil.rmtree(path)
        except Timeout:
            continue
    return freed


def _places() -> Iterator[Path]:
    folder = home() / "bases"
    yield from sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else ()


def _fits(place: Path, matching: str) -> bool:
    return matching.lower() in place.name.lower()


def _is_whole(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".")


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
