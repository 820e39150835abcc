"""What servers answered, kept the moment it came: whoever is killed does not pay for it again.

A file of SQLite, which flushes each addition to the disk before it returns, and is whole again
after a kill.
"""

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from embedlab.errors import UserError

_AT_ONCE = 500  # keys in one question: SQLite takes no more than about a thousand


class Answers:
    """Key -> value, in a file that is made when something is put in; threads share it."""

    def __init__(self, path: Path) -> None:
        self.path, self._lock = path, threading.Lock()
        self._opened: sqlite3.Connection | None = None
        if path.is_file():
            self._connection()

    def __len__(self) -> int:
        if self._opened is None:
            return 0
        with self._explained():
            (number,) = self._opened.execute("SELECT count(*) FROM answers").fetchone()
        return int(number)

    def put(self, values: Mapping[bytes, bytes]) -> None:
        """Keep values; they are on the disk when this returns.

        Raises:
            UserError: the disk is full or cannot be written.
        """
        with self._explained():
            connection = self._connection()
            with connection:
                connection.executemany(
                    "INSERT OR REPLACE INTO answers VALUES (?, ?)", list(values.items())
                )

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """The values of those keys that have one."""
        found: dict[bytes, bytes] = {}
        for start in range(0, len(keys) if self._opened else 0, _AT_ONCE):
            part = keys[start : start + _AT_ONCE]
            marks = ", ".join("?" * len(part))
            with self._explained():
                found |= self._connection().execute(
                    f"SELECT key, value FROM answers WHERE key IN ({marks})", part
                )
        return found

    def all(self) -> dict[bytes, bytes]:
        """Every key with its value."""
        if self._opened is None:
            return {}
        with self._explained():
            return dict(self._opened.execute("SELECT key, value FROM answers"))

    def drop(self, keys: Sequence[bytes]) -> None:
        """Forget these keys: their values are kept elsewhere by now."""
        if self._opened is not None:
            with self._explained(), self._opened as connection:
                connection.executemany("DELETE FROM answers WHERE key = ?", [(k,) for k in keys])

    def close(self) -> None:
        """Close the file; what is put in or asked for next opens it again."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _connection(self) -> sqlite3.Connection:
        if self._opened is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._opened = sqlite3.connect(self.path, check_same_thread=False, timeout=60)
            self._opened.execute("PRAGMA synchronous = FULL")
            self._opened.execute(
                "CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, value BLOB)"
            )
        return self._opened

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            with self._lock:
                yield
        except (sqlite3.Error, OSError) as error:
            raise _unusable(self.path, error) from error


@contextmanager
def held(path: Path) -> Iterator[Answers]:
    """The answers in a file, for one alone: whoever else wants to ask the same waits, and finds
    them here. A file in which nothing is left is removed.

    Raises:
        UserError: the disk is full or cannot be written.
    """
    lock = FileLock(path.with_suffix(".lock"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        answers = Answers(path)
        try:
            yield answers
        finally:
            empty = path.is_file() and len(answers) == 0
            answers.close()
            if empty:
                path.unlink(missing_ok=True)
    finally:
        lock.release()


def _unusable(path: Path, error: Exception) -> UserError:
    return UserError(
        f"{path} cannot be used: {error}.",
        "Free some space, or set EMBEDLAB_HOME to another folder; what was kept before stays.",
    )
