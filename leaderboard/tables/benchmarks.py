"""Benchmarks as a ranking needs them, read from a JSON file: to ask mteb for them takes seconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from leaderboard.storage import latest_runs
from leaderboard.storage.store import Store
from leaderboard.tables import aggregates

# The (split, subset) pairs that make up each task, by the task's name.
Parts = Mapping[str, list[tuple[str, str]]]


@dataclass(frozen=True)
class Benchmarks:
    """parts: of each benchmark, by its name. main_revisions: of public models, the revision that
    mteb's leaderboard shows first. aliases: other names of benchmarks.
    """

    parts: dict[str, dict[str, list[tuple[str, str]]]] = field(default_factory=dict)
    main_revisions: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)

    def named(self, name: str) -> str | None:
        """The benchmark's own name, for that or another one in any case; None for no benchmark."""
        names = {alias.lower(): own for alias, own in self.aliases.items()}
        return (names | {own.lower(): own for own in self.parts}).get(name.lower())


def read(file: Path) -> Benchmarks:
    """What the file holds; nothing where it is not there, or was cut short."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Benchmarks)
    except (OSError, msgspec.MsgspecError):
        return Benchmarks()


@dataclass(frozen=True)
class Held:
    """What a store has of a benchmark: `tasks` of `of`, and `models` that have all these."""

    tasks: int
    of: int
    models: int


def held(store: Store, parts: Mapping[str, Parts]) -> dict[str, Held]:
    """What is there of each benchmark that has results, the most whole results (tasks times models)
    first. An aggregate is there where one of its members is.

    Args:
        store: a `leaderboard.storage.store.Store`.
        parts: of each benchmark.
    """
    having = latest_runs.models_by_task(store)
    of_task = {
        task: set().union(*(having.get(each, ()) for each in aggregates.of_task(task)))
        for tasks in parts.values()
        for task in tasks
    }
    found = {}
    for name, tasks in parts.items():
        if present := [of_task[task] for task in tasks if of_task[task]]:
            found[name] = Held(len(present), len(tasks), len(set.intersection(*present)))
    return dict(sorted(found.items(), key=lambda pair: -pair[1].tasks * pair[1].models))


def fullest(store: Store, parts: Mapping[str, Parts], *, grids: bool = False) -> str | None:
    """The benchmark with the most whole results in the store; of those on whose tasks a model has
    several views, for `grids`. None where there are no such.
    """
    if grids:
        of_grids = latest_runs.grids_by_task(store).keys()
        parts = {
            name: tasks
            for name, tasks in parts.items()
            if any(of_grids & {*aggregates.of_task(task)} for task in tasks)
        }
    return next((name for name, each in held(store, parts).items() if each.models), None)
