"""Whether a task's data are on this machine,
and what is left of a benchmark where the hub cannot be reached.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from embedlab import hub
from embedlab.errors import UserError
from embedlab.tasks.catalogue import is_here

if TYPE_CHECKING:
    from mteb import AbsTask


@dataclass(frozen=True)
class OutOfReach:
    """The tasks of benchmarks that are left out, since their data are at the hub alone."""

    benchmarks: str  # as they were asked for
    tasks: tuple[str, ...]
    of: int  # tasks in all

    @property
    def problem(self) -> str:
        few = ", ".join(self.tasks[:5]) + (
            f" and {len(self.tasks) - 5} more" if len(self.tasks) > 5 else ""
        )
        there = f"{len(self.tasks)} of {self.of} tasks of {self.benchmarks}"
        return (
            f"{there} are left out, for their data are at the hub, which cannot be reached: {few}."
        )

    @property
    def why(self) -> tuple[str, str]:
        """Problem and hint."""
        return self.problem, hub.OFFLINE_HINT


def split(
    selected: "Sequence[AbsTask]", requested: Sequence[str]
) -> "tuple[list[AbsTask], OutOfReach | None]":
    """The tasks to evaluate, and those of benchmarks that are out of reach.

    A task that was asked for by its own name stays: loading it says which of its files would help.

    Args:
        selected: the tasks, not loaded, that `requested` stands for.

    Raises:
        UserError: nothing is left.
    """
    named = {name.lower() for name in requested}
    elsewhere = [
        task
        for task in selected
        if task.metadata.name.lower() not in named
        and not hasattr(task, "sources")
        and not _is_cached(task)
    ]
    if not elsewhere or hub.settle():
        return list(selected), None
    own = {task.metadata.name.lower() for task in selected}
    benchmarks = ", ".join(
        name for name in requested if name.lower() not in own and not is_here(name)
    )
    missing = OutOfReach(benchmarks, tuple(task.metadata.name for task in elsewhere), len(selected))
    if len(elsewhere) == len(selected):
        raise UserError(
            f"None of the {len(selected)} tasks of {benchmarks} is on this machine, and the hub"
            " cannot be reached.",
            hub.OFFLINE_HINT,
        )
    return [task for task in selected if task not in elsewhere], missing


def _is_cached(task: "AbsTask") -> bool:
    from huggingface_hub.constants import HF_HUB_CACHE

    repository = task.metadata.dataset["path"]
    return (
        prepared(repository)
        or Path(HF_HUB_CACHE, f"datasets--{repository.replace('/', '--')}").is_dir()
    )


def prepared(repository: str) -> bool:
    """Whether the datasets library has prepared a data set
    of this hub repository on this machine.
    """
    from datasets.config import HF_DATASETS_CACHE
    from datasets.naming import camelcase_to_snakecase

    owner, _, name = repository.rpartition("/")
    return Path(HF_DATASETS_CACHE, f"{owner}___{camelcase_to_snakecase(name)}").is_dir()
