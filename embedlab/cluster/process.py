"""A process on a node of a cluster, which holds an object and calls its methods."""

import os
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Place:
    """What a process takes over from the command: the folder in which relative paths begin, and
    variables of its environment, None for one that is not set there; folders count where they are.

    `whole`: it is on the same machine, and all of this holds there.
    """

    folder: str
    environment: Mapping[str, str | None]
    whole: bool = False

    def enter(self) -> None:
        if Path(self.folder).is_dir():
            os.chdir(self.folder)
        for name, value in self.environment.items():
            if value is None:
                os.environ.pop(name, None)
            elif self.whole or (value and Path(value).is_dir()):
                os.environ[name] = value


class Process:
    """What runs on a node.

    Args:
        place: what it takes over.
        make: gives the object; pickled by name, so embedlab has to be there.
    """

    def __init__(self, place: Place, make: Callable[[], Any]) -> None:
        place.enter()
        self._object: Any = None
        self._broken: Exception | None = None
        try:
            self._object = make()
        except Exception as error:
            self._broken = _portable(error)

    def call(self, method: str, *arguments: Any) -> tuple[Any, Exception | None]:
        """What a method of the object gives, or what it raises; without a method, nothing."""
        if self._broken or not method:
            return None, self._broken
        try:
            return getattr(self._object, method)(*arguments), None
        except Exception as error:
            return None, _portable(error)


def _portable(error: Exception) -> Exception:
    """The error, or one with its words where it cannot travel."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
