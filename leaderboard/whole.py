"""Files for other programs get their name once they are whole: a full disk or a kill leaves no half table behind."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A passing name beside `path` to write to, which takes the place of `path` at the end."""
    passing = path.with_name(f".{path.name}.part")
    try:
        yield passing
        passing.replace(path)
    except BaseException:
        passing.unlink(missing_ok=True)
        raise
