"""The command that shows a number, as one types it."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from embedlab.resources import home
from embedlab.studies.study_file import Planned


class Commands:
    """Commands over one store.

    Args:
        db: the store; named where it is not the default one.
        metric: of the study, as its file has it.
        split: of the study; empty for the tasks' own.
    """

    def __init__(self, db: Path, metric: str, split: str) -> None:
        self.db = db
        self._db = [] if db == home() / "results.duckdb" else ["--db", str(db)]
        self._metric = [] if metric == "main" else ["--metric", metric]
        self._split = ["--split", split] if split else []

    def leaderboard(self, task: str) -> str:
        """The scores on a task, with intervals."""
        return self._typed("leaderboard", "--task", task, *self._metric, *self._split)

    def compare(self, sides: Sequence[str], tasks: Sequence[str], planned: Planned) -> str:
        """A family of comparisons."""
        named = [word for task in tasks for word in ("--task", task)]
        how = ["--test", planned.test, "--correction", planned.correction]
        level = ["--level", f"{planned.level:g}"]
        return self._typed(
            "compare", "--pairs", *sides, *named, *how, *level, *self._metric, *self._split
        )

    def grid(self, model: str, task: str) -> str:
        """A model's views."""
        return self._typed("grid", "--model", model, "--task", task, *self._metric)

    def run(self, id: str) -> str:
        """A run."""
        return self._typed("runs", "show", id[:8])

    def _typed(self, *words: str) -> str:
        return shlex.join(["embedlab", *words, *self._db])
