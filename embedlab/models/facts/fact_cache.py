"""What a loaded model says of itself, kept between runs:
a run with nothing to encode then loads no model.

EMBEDLAB_HOME/models/<address>.json   name -> value, of one model under one set of circumstances
"""

import json
from collections.abc import Callable, Mapping
from functools import cache
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar, overload

from embedlab import json_cache
from embedlab.resources import home

T = TypeVar("T")


class Remembered:
    """Values by name; each is computed once, as long as nothing of the address changes.

    Args:
        address: everything that the values depend on; versions and embedlab's own code are added.
            None keeps nothing between runs.
    """

    def __init__(self, address: Mapping[str, Any] | None) -> None:
        canonical = json.dumps({"address": address, **_code()}, sort_keys=True, default=str)
        name = blake2b(canonical.encode(), digest_size=16).hexdigest()
        self._file = home() / "models" / f"{name}.json" if address is not None else None
        self._values: dict[str, Any] = _read(self._file) if self._file else {}

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def is_of_the_same(self, other: "Remembered") -> bool:
        """Whether both are of the same address."""
        return self._file is not None and self._file == other._file

    @overload
    def get(self, name: str) -> Any: ...

    @overload
    def get(self, name: str, compute: Callable[[], T]) -> T: ...

    def get(self, name: str, compute: Callable[[], Any] | None = None) -> Any:
        """The value, which JSON must be able to hold; tuples come back as lists.

        Raises:
            KeyError: nothing is known by that name, and no way to compute it was given.
        """
        if compute and name not in self._values:
            self.update({name: compute()})
        return self._values[name]

    def update(self, values: Mapping[str, Any]) -> None:
        """Set several values at once."""
        self._values |= json.loads(json.dumps(values))
        self._write()

    def _write(self) -> None:
        if not self._file:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            json_cache.write(self._file, {**_read(self._file), **self._values})
        except OSError:  # it will be computed again, no more
            self._file = None


def _read(file: Path) -> dict[str, Any]:
    try:
        return json_cache.read(file)
    except (OSError, ValueError):
        return {}


@cache
def _code() -> dict[str, str]:
    """The versions of the libraries that load models or know their prompts,
    and a digest of embedlab's own loaders.
    """
    digest = blake2b(digest_size=16)
    package = Path(__file__).parents[2]
    for path in [
        path
        for part in ("models", "encoders", "encoding")
        for path in sorted((package / part).rglob("*.py"))
    ]:
        digest.update(path.read_bytes())
    libraries = {
        name: version(name) for name in ("torch", "transformers", "sentence-transformers", "mteb")
    }
    return {**libraries, "embedlab": digest.hexdigest()}
