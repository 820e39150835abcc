"""Weights that a Python package carries, checked against their published sha256."""

import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from embedlab.errors import UserError


def folder_of(module: str) -> Path | None:
    """The folder of an installed package, which is not imported; None where it is not
    installed.
    """
    spec = find_spec(module)
    return Path(spec.origin).parent if spec and spec.origin else None


def check(file: Path, sha256_wanted: str, package: str, model: str, install: str) -> None:
    """Compare a package's weights with what was published.

    Args:
        file: the weights.
        sha256_wanted: what they have to have.
        package: that carries them.
        model: whose weights they are to be.
        install: the command that installs the package again.

    Raises:
        UserError: they are not there, or other ones.
    """
    found = sha256(file) if file.is_file() else "none: no such file"
    if found != sha256_wanted:
        raise UserError(
            f"The weights in the package {package} are not those of {model}: "
            f"sha256 {found}, expected {sha256_wanted}.",
            f"Type: {install}",
        )


def sha256(path: Path) -> str:
    """A file's sha256, computed once per state of the file: a model may be trained again while this
    process runs.
    """
    stat = path.stat()
    return _sha256_of(path, stat.st_size, stat.st_mtime_ns)


@cache
def _sha256_of(path: Path, size: int, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
