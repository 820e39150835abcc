"""An object store (`s3://bucket/prefix`), or what else fsspec reaches by an address: folders of
files that are written once.

Connections that are cut are tried again; whatever is wrong in the end is one error, without the
values of the environment's keys.
"""

import errno
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar

from embedlab.errors import UserError, missing_extra
from embedlab.servers import secrecy

_WAITS = (1.0, 4.0)  # seconds before what failed is tried again, beside the client's own tries
_CREDENTIALS = {
    "NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound",
    "SSOTokenLoadError", "UnauthorizedSSOTokenError", "TokenRetrievalError",
}  # fmt: skip
_WRONG = {"ParamValidationError", "InvalidRegionError", "ValueError"}
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}  # this machine's, not the store's

T = TypeVar("T")


@lru_cache
def opened(address: str) -> "ObjectStore":
    """The store at an address, the same one each time.

    Raises:
        UserError: the address is wrong, or a package for it is not installed.
    """
    return ObjectStore(address)


class ObjectStore:
    """Folders of files below an address. Every method raises UserError where the store cannot be
    reached, read or written.

    Args:
        address: e.g. s3://bucket/prefix.

    Raises:
        UserError: the address is wrong, or a package for it is not installed.
    """

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        scheme, slashes, place = self.address.partition("://")
        place = re.sub("/+", "/", place)  # between two slashes s3fs finds nothing again
        if not slashes or not place or "@" in place or set(place) & set("*?["):
            hint = (
                "Keys stand in the environment or in ~/.aws, not in the address."
                if "@" in place
                else "Type an address such as s3://bucket/prefix, or a folder."
            )
            shown = f"{scheme}{slashes}{place.rpartition('@')[2].partition('?')[0]}"
            raise UserError(f"EMBEDLAB_VECTORS={shown} is no address of an object store.", hint)
        try:
            from fsspec.core import url_to_fs
        except ImportError:
            raise missing_extra(f"EMBEDLAB_VECTORS={address}", "s3") from None
        try:
            # Nothing is tried by botocore itself: s3fs tries five times, and we after it.
            options = (
                {"config_kwargs": {"retries": {"total_max_attempts": 1}}} if scheme == "s3" else {}
            )
            self._files, self._root = url_to_fs(
                f"{scheme}://{place}", skip_instance_cache=True, **options
            )
        except ImportError as error:
            if scheme == "s3":
                raise missing_extra(f"EMBEDLAB_VECTORS={address}", "s3") from None
            raise UserError(
                f"EMBEDLAB_VECTORS={address} needs a package that is not installed.", str(error)
            ) from None
        except ValueError:
            raise UserError(
                f"EMBEDLAB_VECTORS={address}: no store is known for {scheme}://, or the rest is"
                " wrong.",
                "Type a folder, s3://bucket/prefix, or another address of fsspec"
                " (https://filesystem-spec.readthedocs.io).",
            ) from None

    def folders(self) -> list[str]:
        """The names of all folders."""
        return sorted(self._entries("", "directory"))

    def files(self, folder: str) -> dict[str, int]:
        """The files of a folder, with their bytes; none where there is no such folder."""
        return {name: entry["size"] for name, entry in self._entries(folder, "file").items()}

    def written(self, folder: str) -> dict[str, float]:
        """When each file of a folder was written, seconds since 1970; 0 where the store does not
        say.
        """
        times = {}
        for name, entry in self._entries(folder, "file").items():
            when = entry.get("LastModified") or entry.get("mtime") or entry.get("created") or 0.0
            times[name] = when.timestamp() if isinstance(when, datetime) else float(when)
        return times

    def read(self, folder: str, names: Sequence[str]) -> dict[str, bytes]:
        """The content of small files."""
        paths = {self._path(folder, name): name for name in names}
        if not paths:
            return {}
        found = self._tried("read", lambda: self._files.cat(list(paths)))
        return {paths[path]: content for path, content in found.items()}

    def fetch(self, folder: str, files: dict[str, Path]) -> None:
        """Copy files to this machine, each to its path."""
        if files:
            there, here = [self._path(folder, name) for name in files], [*map(str, files.values())]
            self._tried("read", lambda: self._files.get(there, here))

    def put(self, folder: str, files: Sequence[Path]) -> None:
        """Copy files of this machine there, under their names."""
        there = [self._path(folder, file.name) for file in files]
        self._tried("written", lambda: self._files.put([str(file) for file in files], there))

    def write(self, folder: str, name: str, content: bytes) -> None:
        """Write a small file."""
        self._tried("written", lambda: self._files.pipe_file(self._path(folder, name), content))

    def remove(self, folder: str, names: Sequence[str]) -> None:
        """Remove files, those that are there."""
        for name in names:
            self._tried("written", partial(self._gone, self._path(folder, name)))

    def _gone(self, path: str) -> None:
        with suppress(FileNotFoundError):
            self._files.rm_file(path)

    def _entries(self, folder: str, kind: str) -> dict[str, dict[str, Any]]:
        def entries() -> list[dict[str, Any]]:
            self._files.invalidate_cache()
            try:
                found: list[dict[str, Any]] = self._files.ls(self._path(folder), detail=True)
            except FileNotFoundError as error:
                if _code(error) == "NoSuchBucket":
                    raise
                return []
            return found

        return {
            name: entry
            for entry in self._tried("read", entries)
            if entry["type"] == kind and (name := entry["name"].rstrip("/").rpartition("/")[2])
        }

    def _path(self, *parts: str) -> str:
        return "/".join([self._root.rstrip("/"), *filter(None, parts)])

    def _tried(self, done: str, action: Callable[[], T]) -> T:
        for wait in (*_WAITS, None):
            try:
                return action()
            except Exception as error:
                if isinstance(error, OSError) and error.errno in _DISK:
                    raise
                mended = self._what_to_mend(error, done)
                if mended or wait is None:
                    raise mended or self._cut(error, done) from error
            time.sleep(wait)
        raise AssertionError

    def _what_to_mend(self, error: Exception, done: str) -> UserError | None:
        """The error for what another try would not change."""
        says, kinds = self._says(error), {cls.__name__ for cls in type(error).__mro__}
        if isinstance(error, PermissionError):
            return UserError(
                f"{self.address} may not be {done} with these credentials: {says}",
                "Check the keys and the permissions of the bucket (s3:ListBucket, s3:GetObject,"
                " s3:PutObject), or unset EMBEDLAB_VECTORS; what was finished is kept on this"
                " machine.",
            )
        if kinds & _CREDENTIALS:
            return UserError(
                f"There are no credentials for {self.address}: {says}",
                "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE.",
            )
        if isinstance(error, FileNotFoundError):
            if _code(error) == "NoSuchBucket":
                return UserError(
                    f"There is no bucket for {self.address}.",
                    "Make it, or correct EMBEDLAB_VECTORS.",
                )
            return UserError(f"A file is no longer there: {says}", "Type the same again.")
        if kinds & _WRONG:
            return UserError(
                f"EMBEDLAB_VECTORS={self.address} or its endpoint is no address: {says}",
                "Type one such as s3://bucket/prefix; the endpoint of a store of your own is"
                " AWS_ENDPOINT_URL=https://HOST:PORT.",
            )
        return None

    def _cut(self, error: Exception, done: str) -> UserError:
        return UserError(
            f"{self.address} cannot be {done}: {self._says(error)}",
            "Check the network and AWS_ENDPOINT_URL, and type the same again: what was finished is"
            " kept on this machine, and goes on from there.",
        )

    def _says(self, error: Exception) -> str:
        return secrecy.shown(" ".join(str(error).split()) or type(error).__name__)


def _code(error: Exception) -> str:
    """The store's own code of an error; empty where it has none."""
    response = getattr(error.__cause__ or error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))
