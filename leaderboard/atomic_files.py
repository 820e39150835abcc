"""Files get their name once they are whole: a full disk or a kill leaves no half file behind."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path: Path, *, durable: bool = False, shared: bool = False) -> Iterator[Path]:
    """A temporary name beside `path` to write to, which takes the place of `path` at the end.

    Args:
        durable: the content is on the disk for good before it gets its name.
        shared: other processes, of this host or of others on a shared disk, may write the same file
            at the same time.

    Raises:
        OSError: the disk is full, or the folder cannot be written; what `path` held before is as it
            was.
    """
    who = f".{os.getpid()}-{uuid.uuid4().hex[:8]}" if shared else ""
    temporary = path.with_name(f".{path.name}{who}.part")
    try:
        yield temporary
        if durable:
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
