"""What differs between two runs: every setting, asked or resolved,
and the inputs as they reached the model.
"""

from collections.abc import Iterator
from itertools import zip_longest
from typing import NamedTuple

from leaderboard.records import Run

_INPUTS = ("first_inputs", "first_tokens")


class Difference(NamedTuple):
    """A setting's dotted name and its value in either run; None where a run lacks it."""

    name: str
    first: object
    second: object


class Inputs(NamedTuple):
    """The same place among the first rendered inputs of either run."""

    first: str
    second: str


def settings(run: Run) -> dict[str, object]:
    """Every setting of a run by its dotted name,
    as `resolved.prompts.query`, without the rendered inputs.
    """
    resolved = {key: value for key, value in run.resolved.items() if key not in _INPUTS}
    tree = {
        "model": {"name": run.model.name, "revision": run.model.revision, "kind": run.model.kind},
        "model details": run.model.details,
        "task": {
            name: getattr(run.task, name)
            for name in ("name", "revision", "split", "subset", "main_metric")
        },
        "index": run.index,
        "layer": run.layer,
        "dim": run.dim,
        "precision": run.precision,
        "settings": run.settings,
        "depth": run.depth,
        "source": run.source,
        "asked": run.asked,
        "resolved": resolved,
        "environment": run.environment,
    }
    return dict(_leaves("", tree))


def differences(first: Run, second: Run) -> list[Difference]:
    """Every setting that differs."""
    one, other = settings(first), settings(second)
    names = [*one, *(name for name in other if name not in one)]
    return [
        Difference(name, one.get(name), other.get(name))
        for name in names
        if one.get(name) != other.get(name) or (name in one) != (name in other)
    ]


def first_inputs(first: Run, second: Run) -> list[Inputs]:
    """The first rendered inputs of two runs side by side."""
    texts = [
        [str(text) for text in run.resolved.get("first_inputs") or ()] for run in (first, second)
    ]
    return [Inputs(*pair) for pair in zip_longest(*texts, fillvalue="")]


def _leaves(name: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(f"{name}.{key}" if name else str(key), inner)
    else:
        yield name, value
