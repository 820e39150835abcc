"""Opening the results file: short connections, one writer at a time, readers beside each other.

DuckDB lets one process write or several read, never both, and refuses rather than waits. So a lock file serves as a
turnstile. A writer keeps it from opening to closing; a reader only while it opens. Readers thus run in parallel, a
waiting writer lets no new reader in, and neither waits longer than the other's current transaction.
"""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import duckdb
from filelock import FileLock, Timeout

from leaderboard.errors import LeaderboardError

SCHEMA = Path(__file__).parent / "schema"
# DuckDB's words for "someone else has it open": another process, or this process in the other mode.
_BUSY = ("Could not set lock on file", "different configuration than existing connections")
# Errors of the disk and the file; DuckDB's other errors are ours to mend and keep their traceback.
_ENVIRONMENT = (duckdb.IOException, duckdb.FatalException, duckdb.OutOfMemoryException)


def schema_version() -> int:
    """The version of the schema that this code writes: the highest numbered file in schema/."""
    return max(int(file.stem) for file in SCHEMA.glob("*.sql"))


class Database:
    """The file at `path`; `timeout` is the number of seconds to wait for another program that holds it."""

    def __init__(self, path: Path, timeout: float):
        self.path = path
        self.timeout = timeout

    @contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A read-only connection to one consistent state; an empty one where no file exists yet.

        Raises:
            LeaderboardError: the file is held by another program, corrupt, unreadable, or of a newer schema.
        """
        if not self.path.exists():
            with duckdb.connect(":memory:") as connection:
                _migrate(connection, 0)
                yield connection
            return
        with self.explained("read"):
            deadline = time.monotonic() + self.timeout
            with self._turnstile(deadline, read_only=True):
                connection = self._connect(deadline, read_only=True)
            with connection:
                if self._version(connection) == schema_version():
                    yield connection
                    return
            with self.writing() as connection:  # brings an older schema up to date
                yield connection

    @contextmanager
    def writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection inside one transaction: committed at the end, rolled back on any error.

        Raises:
            LeaderboardError: as `reading`, or the folder cannot be written, or the disk is full. Nothing is changed.
        """
        with self.explained("written"):
            deadline = time.monotonic() + self.timeout
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._turnstile(deadline, read_only=False):
                if not self.path.exists():
                    self._create()
                with self._connect(deadline, read_only=False) as connection:
                    version = self._version(connection)
                    connection.begin()
                    try:
                        _migrate(connection, version)
                        yield connection
                        connection.commit()
                    except BaseException:
                        _roll_back(connection)
                        raise

    def _turnstile(self, deadline: float, read_only: bool):
        # Readers ask more often: a person waits for them, and they keep it only while they open.
        lock = FileLock(f"{self.path}.lock", poll_interval=0.001 if read_only else 0.01)
        try:
            return lock.acquire(timeout=max(0, deadline - time.monotonic()))
        except Timeout:
            raise self._held("another embedlab process") from None
        except OSError:
            if read_only:  # a store on read-only media: DuckDB's own lock still guards it
                return nullcontext()
            raise

    def _connect(self, deadline: float, read_only: bool) -> duckdb.DuckDBPyConnection:
        pause = 0.002
        while True:
            try:
                return duckdb.connect(str(self.path), read_only=read_only)
            except duckdb.Error as error:
                if not any(words in str(error) for words in _BUSY):
                    raise
                if time.monotonic() + pause > deadline:
                    raise self._held(_holder(str(error))) from None
            time.sleep(pause * random.uniform(0.5, 1))
            pause = min(2 * pause, 0.1)

    def _held(self, holder: str) -> LeaderboardError:
        return LeaderboardError(
            f"{self.path} has been held by {holder} for {self.timeout:g} seconds; nothing was changed.",
            "Close that program (a duckdb shell, for example) and type the command again.",
        )

    def _create(self) -> None:
        """Make the file whole under another name first: a process killed here leaves no half store behind."""
        new = self.path.with_name(self.path.name + ".new")
        for leftover in (new, Path(f"{new}.wal"), Path(f"{self.path}.wal")):
            leftover.unlink(missing_ok=True)
        with duckdb.connect(str(new)) as connection:
            _migrate(connection, 0)
        new.replace(self.path)

    def _version(self, connection: duckdb.DuckDBPyConnection) -> int:
        try:
            ((version,),) = connection.execute("SELECT schema_version FROM meta").fetchall()
        except (duckdb.CatalogException, duckdb.BinderException):
            raise LeaderboardError(
                f"{self.path} is a DuckDB file, but no results store.", "Choose another file with --db."
            ) from None
        if version > schema_version():
            raise LeaderboardError(
                f"{self.path} was written by a newer embedlab (schema {version}; this one knows {schema_version()}).",
                "Type: pip install --upgrade embedlab",
            )
        return version

    @contextmanager
    def explained(self, verb: str) -> Iterator[None]:
        """Errors of the disk and the file become one LeaderboardError that says the file "cannot be `verb`"."""
        try:
            yield
        except OSError as error:
            raise LeaderboardError(
                f"{self.path} cannot be {verb}: {error.strerror or error}.",
                "Check the folder's permissions and free space, or choose another file with --db.",
            ) from error
        except duckdb.Error as error:
            message = str(error)
            if "not a valid DuckDB database file" in message or "Corrupt database file" in message:
                raise LeaderboardError(
                    f"{self.path} is corrupt, or no results store.",
                    "Restore it from a copy, or choose another file with --db.",
                ) from error
            if isinstance(error, _ENVIRONMENT) or type(error) is duckdb.Error:
                raise LeaderboardError(
                    f"{self.path} cannot be {verb}: {message.splitlines()[0]}",
                    "Check the folder's permissions and free space, or choose another file with --db.",
                ) from error
            raise


def _migrate(connection: duckdb.DuckDBPyConnection, version: int) -> None:
    for number in range(version + 1, schema_version() + 1):
        connection.execute((SCHEMA / f"{number}.sql").read_text(encoding="utf-8"))
        connection.execute("UPDATE meta SET schema_version = ?", [number])


def _roll_back(connection: duckdb.DuckDBPyConnection) -> None:
    # After a full disk DuckDB has ended the transaction itself and refuses the statement.
    with suppress(duckdb.Error):
        connection.rollback()


def _holder(message: str) -> str:
    """The program named in DuckDB's message "Conflicting lock is held in /usr/bin/duckdb (PID 42)"."""
    _, found, rest = message.partition("lock is held in ")
    return rest.partition(")")[0].strip() + ")" if found and "(PID" in rest else "another program"
