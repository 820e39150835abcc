"""JSON files that embedlab keeps for itself: written whole, and read only as they were written.

A changed bit in what is remembered of a model would be a silent change of its scores: a file that
does not fit its checksum counts as lost, and what stood in it is found out again.
"""

import json
from pathlib import Path
from typing import Any

import xxhash

from leaderboard.atomic_files import atomic_write
from leaderboard.plain_json import from_json

_CHECKSUM = "checksum"


def write(file: Path, value: dict[str, Any]) -> None:
    """Put `value` in the place of what the file holds, in one step,
    on the disk for good before this returns.

    Raises:
        OSError: the disk is full, or the folder cannot be written; the file is as it was.
    """
    content = json.dumps(value, default=str)
    signed = {**json.loads(content), _CHECKSUM: _checksum(content)}
    with atomic_write(file, durable=True, shared=True) as temporary:
        temporary.write_text(json.dumps(signed), encoding="utf-8")


def read(file: Path, *, older: bool = False) -> dict[str, Any]:
    """What was written last; nothing where there is no file.

    Args:
        older: whether to believe a file of an older edition, which has no checksum.

    Raises:
        ValueError: the file was changed since, or cut short.
        OSError: it cannot be read.
    """
    if not file.is_file():
        return {}
    return parse(file.read_bytes(), older=older)


def parse(content: bytes, *, older: bool = False) -> dict[str, Any]:
    """The value of a file's content.

    Raises:
        ValueError: it was changed since it was written, or cut short.
    """
    value = from_json(content)
    if not isinstance(value, dict):
        raise ValueError("not an object")
    checksum = value.pop(_CHECKSUM, None)
    if checksum != _checksum(json.dumps(value)) and not (older and checksum is None):
        raise ValueError("changed since it was written")
    return value


def _checksum(content: str) -> str:
    return xxhash.xxh3_64_hexdigest(content.encode())
