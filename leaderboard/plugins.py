"""Plug-ins: what installed packages add under our entry point groups.

`embedlab.encoders`, `embedlab.metrics` and `embedlab.pages` are read here; `embedlab.indexes` where
indexes are made (`retrievers.registry`). Listing them imports none. Nothing of a package replaces
what is ours.
"""

import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from leaderboard.errors import LeaderboardError

PAGES = "embedlab.pages"


@dataclass(frozen=True)
class Plugin:
    """An entry point of an installed package."""

    name: str
    target: str  # module:attribute
    package: str
    version: str

    def __str__(self) -> str:
        return f"{self.name!r} of the package {self.package} {self.version} ({self.target})"

    @property
    def module(self) -> str:
        """The module that it lies in."""
        return self.target.partition(":")[0].strip()

    @property
    def hint(self) -> str:
        """What to type where it is broken."""
        return (
            f"The fault lies in that package. Type: pip install -U {self.package}, or: pip"
            f" uninstall {self.package}"
        )

    def load(
        self, group: str, fits: Callable[[Any], bool] = callable, expected: str = "a function"
    ) -> Any:
        """What it leads to, imported.

        Args:
            group: the entry point group that it is of.
            fits: whether that is what the group wants.
            expected: the same in words.

        Raises:
            LeaderboardError: it cannot be imported, or is something else. Names the package.
        """
        point = next(
            point
            for point in entry_points(group=group, name=self.name)
            if point.value == self.target
        )
        try:
            value = point.load()
        except (Exception, SystemExit) as error:
            raise LeaderboardError(
                f"The plug-in {self} cannot be loaded: {type(error).__name__}: {error}", self.hint
            ) from error
        if not fits(value):
            raise LeaderboardError(
                f"The plug-in {self} is a {type(value).__name__}, not {expected}.", self.hint
            )
        return value


def every(group: str) -> list[Plugin]:
    """All plug-ins of a group, by name and package."""
    return [*_every(group, tuple(sys.path))]


@cache
def _every(group: str, path: tuple[str, ...]) -> list[Plugin]:
    """What is installed in the folders of `path`, looked at once: it is hundreds of files."""
    points = entry_points(group=group)
    entries = {
        Plugin(point.name, point.value, point.dist.name, point.dist.version)
        for point in points
        if point.dist
    }
    return sorted(entries, key=lambda plugin: (plugin.name, plugin.package))


def installed(group: str, reserved: Collection[str] = ()) -> dict[str, Plugin]:
    """The plug-ins of a group by name, without those whose name is `reserved`;
    of two of one name the first package's.
    """
    by_name: dict[str, Plugin] = {}
    for plugin in every(group):
        if plugin.name not in reserved:
            by_name.setdefault(plugin.name, plugin)
    return by_name
