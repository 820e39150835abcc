"""What the dashboard was started with:
the environment variable EMBEDLAB_DASHBOARD, a JSON object.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from leaderboard.errors import LeaderboardError
from leaderboard.plain_json import from_json
from leaderboard.tables.benchmarks import Benchmarks, read
from leaderboard.typed_values import convert

VARIABLE = "EMBEDLAB_DASHBOARD"


@dataclass(frozen=True)
class Settings:
    """db: the results file. indexes: the folder of saved indexes. made: a file that says where
    others were made, as `embedlab.made_indexes` writes it. benchmarks: a JSON file with the
    fields of `Benchmarks`. tasks: one of what is known of tasks, by name. Both may appear later.
    encoders: "module:function" that turns an encoder's name into an encoder.
    """

    db: str = "results.duckdb"
    indexes: str = ""
    made: str = ""
    benchmarks: str = ""
    tasks: str = ""
    encoders: str = ""

    def encoder(self) -> Callable[[str], Any] | None:
        """The function that `encoders` names; None where none was given."""
        if not self.encoders:
            return None
        module, _, name = self.encoders.partition(":")
        finder: Callable[[str], Any] = getattr(import_module(module), name)
        return finder

    def read_benchmarks(self) -> Benchmarks:
        """What the file holds by now."""
        return read(Path(self.benchmarks))


def settings() -> Settings:
    """The settings of this process.

    Raises:
        LeaderboardError: the variable holds something else.
    """
    try:
        return convert(from_json(os.environ.get(VARIABLE, "{}")), Settings)
    except ValueError as error:
        raise LeaderboardError(
            f"{VARIABLE} is not what the dashboard is started with: {error}.",
            "Type: embedlab dashboard",
        ) from error
