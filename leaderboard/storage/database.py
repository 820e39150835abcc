"""Opening the results file: short connections, one writer at a time, readers beside each other.

DuckDB lets one process write or several read, never both, and refuses rather than waits. So a lock
file serves as a turnstile. A writer keeps it from opening to closing; a reader only while it opens.
Readers thus run in parallel, a waiting writer lets no new reader in, and neither waits longer than
the other's current transaction.

Reading never writes: a store of an older schema is read from a copy that is brought up to date; the
first write brings the store itself up to date. A store may come from anybody: files are opened
without access to anything but themselves, without extensions, and with nothing but our own tables
and views in them.
"""

import random
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TypeAlias

import duckdb
from filelock import FileLock, Timeout

from leaderboard.errors import LeaderboardError
from leaderboard.storage.migrations import foreign_object, migrate, schema_version

# DuckDB's words for "someone else has it open": another process, or this process in the other mode.
_BUSY = ("Could not set lock on file", "different configuration than existing connections")
# Errors of the disk and the file; DuckDB's other errors are ours to mend and keep their traceback.
_ENVIRONMENT = (
    duckdb.IOException,
    duckdb.FatalException,
    duckdb.OutOfMemoryException,
    duckdb.TransactionException,
)
# What a view, a macro or a statement inside a file could reach otherwise:
# other files, the network, native code.
_CLOSED: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_unsigned_extensions": "false",
}


# The state of each file (inode, time and size, of its log too) whose tables were looked at, as this
# process left it.
_State: TypeAlias = tuple[tuple[int, int, int], ...]
_looked_at: dict[Path, _State] = {}


class _Opened(threading.local):
    """The connection that a thread keeps open."""

    connection: duckdb.DuckDBPyConnection | None = None


class Database:
    """The file at `path`; `timeout` is the number of seconds to wait
    for another program that holds it.
    """

    def __init__(self, path: Path, timeout: float):
        self.path = path
        self.timeout = timeout
        self._copy: tuple[_State, tempfile.TemporaryDirectory[str], Database] | None = None
        self._opened = _Opened()

    @contextmanager
    def opened(self) -> Iterator[None]:
        """What this thread reads meanwhile, it reads through one connection, from one consistent
        state: opening the file takes longer than most questions. Writers wait until the end, so
        it is for a few questions on end; and this thread may not write.

        Raises:
            LeaderboardError: as `reading`.
        """
        with self.reading() as connection:
            before, self._opened.connection = self._opened.connection, connection
            try:
                yield
            finally:
                self._opened.connection = before

    @contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A read-only connection to one consistent state; an empty one where no file exists yet.

        Raises:
            LeaderboardError: the file is held by another program, corrupt, unreadable, or of a
                newer schema.
        """
        if self._opened.connection:
            with self.explained("read"):
                yield self._opened.connection
            return
        if not self.path.exists():
            with duckdb.connect(":memory:") as connection:
                migrate(connection, 0)
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
                newer = self._upgraded_copy()
            with newer.reading() as connection:
                yield connection

    def _upgraded_copy(self) -> "Database":
        """A copy of an older store, brought up to date; the same one until the store changes.

        Call it while the store is open for reading: no one writes then.
        """
        state = self._state()
        if self._copy is None or self._copy[0] != state:
            scratch = tempfile.TemporaryDirectory(prefix="embedlab-older-store-")
            copy = Database(Path(scratch.name) / self.path.name, self.timeout)
            for file, twin in zip(self._files(), copy._files(), strict=True):
                if file.exists():
                    shutil.copyfile(file, twin)
            with copy.writing():
                pass
            self._copy = (state, scratch, copy)
        return self._copy[2]

    def _state(self) -> _State:
        """Changes with every write to the file."""
        states = [file.stat() for file in self._files() if file.exists()]
        return tuple((state.st_ino, state.st_mtime_ns, state.st_size) for state in states)

    def _files(self) -> list[Path]:
        """The file, and DuckDB's log of what is not in it yet."""
        return [self.path, self.path.with_name(self.path.name + ".wal")]

    @contextmanager
    def writing(self, other: Path | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection inside one transaction: committed at the end, rolled back on any error.

        Args:
            other: another DuckDB file that the transaction may attach.

        Raises:
            LeaderboardError: as `reading`, or the folder cannot be written, or the disk is full.
                Nothing is changed.
        """
        with self.explained("written"):
            deadline = time.monotonic() + self.timeout
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._turnstile(deadline, read_only=False):
                if not self.path.exists():
                    self._create()
                with self._connect(deadline, read_only=False, other=other) as connection:
                    version = self._version(connection)
                    connection.begin()
                    try:
                        migrate(connection, version)
                        yield connection
                        connection.commit()
                    except BaseException:
                        _roll_back(connection)
                        raise
                _looked_at[self.path.absolute()] = self._state()

    def _turnstile(self, deadline: float, read_only: bool) -> AbstractContextManager[object]:
        # Readers ask more often: a person waits for them, and they keep it only while they open.
        file = Path(f"{self.path}.lock")
        if read_only and not file.exists():
            # No writer has been here; DuckDB's own lock guards against a first one.
            return nullcontext()
        lock = FileLock(file, poll_interval=0.001 if read_only else 0.01)
        try:
            return lock.acquire(timeout=max(0, deadline - time.monotonic()))
        except Timeout:
            raise self._held("another embedlab process") from None
        except OSError:
            if read_only:  # a store on read-only media: DuckDB's own lock still guards it
                return nullcontext()
            raise

    def _connect(
        self, deadline: float, read_only: bool, other: Path | None = None
    ) -> duckdb.DuckDBPyConnection:
        self._refuse_foreign()
        pause = 0.002
        while True:
            try:
                return _open(self.path, read_only, [other] if other else [])
            except duckdb.Error as error:
                if not any(words in str(error) for words in _BUSY):
                    raise
                if time.monotonic() + pause > deadline:
                    raise self._held(_holder(str(error))) from None
            time.sleep(pause * random.uniform(0.5, 1))
            pause = min(2 * pause, 0.1)

    def _refuse_foreign(self) -> None:
        """Refuse what is no DuckDB file, before DuckDB looks
        for an extension that might read it.
        """
        with self.path.open("rb") as file:
            start = file.read(16)
        if not start:
            raise self._foreign("an empty file, no results store")
        if start.startswith(b"SQLite format 3"):
            raise self._foreign("a SQLite file, no results store")
        if start[8:12] != b"DUCK":
            raise self._foreign("no results store")

    def _foreign(self, kind: str) -> LeaderboardError:
        return LeaderboardError(
            f"{self.path} is {kind}.", "Restore it from a copy, or choose another file with --db."
        )

    def _held(self, holder: str) -> LeaderboardError:
        return LeaderboardError(
            f"{self.path} has been held by {holder} for {self.timeout:g} seconds; nothing was"
            " changed.",
            "Close that program (a duckdb shell, for example) and type the command again.",
        )

    def _create(self) -> None:
        """Make the file whole under another name first:
        a process killed here leaves no half store behind.
        """
        new = self.path.with_name(self.path.name + ".new")
        leftovers = (new, Path(f"{new}.wal"), Path(f"{self.path}.wal"))
        for leftover in leftovers:
            leftover.unlink(missing_ok=True)
        try:
            with _open(new) as connection:
                migrate(connection, 0)
                # Closing does so too, but says nothing where the disk is full.
                connection.execute("CHECKPOINT")
            new.replace(self.path)
            _looked_at[self.path.absolute()] = self._state()
        except BaseException:
            for leftover in leftovers:
                leftover.unlink(missing_ok=True)
            raise

    def _version(self, connection: duckdb.DuckDBPyConnection) -> int:
        try:
            ((version,),) = connection.execute("SELECT schema_version FROM meta").fetchall()
            if not isinstance(version, int) or version < 1:
                raise ValueError(version)
        except (duckdb.CatalogException, duckdb.BinderException, ValueError):
            raise LeaderboardError(
                f"{self.path} is a DuckDB file, but no results store.",
                "Choose another file with --db.",
            ) from None
        if version > schema_version():
            raise LeaderboardError(
                f"{self.path} was written by a newer embedlab (schema {version}; this one knows"
                f" {schema_version()}).",
                "Type: pip install --upgrade embedlab",
            )
        if _looked_at.get(self.path.absolute()) != (state := self._state()):
            self._check_tables(connection, version)
            _looked_at[self.path.absolute()] = state
        return version

    def _check_tables(self, connection: duckdb.DuckDBPyConnection, version: int) -> None:
        """Refuse a file in which a table or a view of ours is missing or another,
        or that has more beside them.
        """
        if wrong := foreign_object(connection, version):
            raise LeaderboardError(
                f"{self.path} is no results store of ours: {wrong}.",
                "Do not use it if you do not know where it comes from; choose another file with"
                " --db.",
            )

    @contextmanager
    def explained(self, verb: str) -> Iterator[None]:
        """Errors of the disk and the file become one LeaderboardError
        that says the file "cannot be `verb`".
        """
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
                raise self._foreign(
                    "damaged: a DuckDB file that was cut short or changed"
                ) from error
            if isinstance(error, _ENVIRONMENT) or type(error) is duckdb.Error:
                raise LeaderboardError(
                    f"{self.path} cannot be {verb}: {message.splitlines()[0]}",
                    "Check the folder's permissions and free space, or choose another file with"
                    " --db.",
                ) from error
            raise


def _open(
    path: Path, read_only: bool = False, others: Sequence[Path] = ()
) -> duckdb.DuckDBPyConnection:
    """The file, and `others` to attach, closed to everything else."""
    connection = duckdb.connect(str(path), read_only=read_only, config=_CLOSED)
    allowed = [
        str(file) for other in others for file in (other, other.with_name(other.name + ".wal"))
    ]
    try:
        connection.execute("SET allowed_paths = ?", [allowed])
        connection.execute("SET enable_external_access = false")
    except duckdb.Error:
        # Set by another connection of this process to the same file, which shares its settings.
        setting = connection.execute("SELECT current_setting('enable_external_access')").fetchone()
        if setting is None or setting[0]:
            connection.close()
            raise
    return connection


def _roll_back(connection: duckdb.DuckDBPyConnection) -> None:
    # After a full disk DuckDB has ended the transaction itself and refuses the statement.
    with suppress(duckdb.Error):
        connection.rollback()


def _holder(message: str) -> str:
    """The program named in DuckDB's message "Conflicting lock is held
    in /usr/bin/duckdb (PID 42)".
    """
    _, separator, rest = message.partition("lock is held in ")
    return (
        rest.partition(")")[0].strip() + ")" if separator and "(PID" in rest else "another program"
    )
