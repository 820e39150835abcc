"""Ray on this machine where nobody else can reach it: whoever could would run code."""

import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_ENDING = 10.0  # seconds
_LONGEST = 24  # characters of a folder below which sockets can lie


@contextmanager
def secluded() -> Iterator[str]:
    """A folder for what Ray keeps, which other users cannot enter. Ray that is started meanwhile
    listens on the loopback interface alone, and to those who have the token that is made here.
    """
    from embedlab.compat import ray_internals

    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    before = {name: os.environ.get(name) for name in token}
    folder = tempfile.mkdtemp(prefix="ray-", dir=_short_folder())
    os.environ.update(token)
    ray_internals.read_token_again()
    try:
        with ray_internals.loopback_alone():
            yield str(Path(folder, "r"))  # Ray opens this one to everybody
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        ray_internals.read_token_again()
        _remove(folder)


def _remove(folder: str) -> None:
    """The last of Ray's processes may still write its logs while it ends."""
    limit = time.monotonic() + _ENDING
    while Path(folder).exists() and time.monotonic() < limit:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.05)


def _short_folder() -> str | None:
    """A folder for temporary files whose sockets' paths are not too long for the system."""
    for folder in (tempfile.gettempdir(), "/tmp"):
        with suppress(OSError):
            if len(folder) <= _LONGEST and os.access(folder, os.W_OK):
                return folder
    return None
