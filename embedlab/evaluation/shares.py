"""How a plan, models by tasks, is split over processes that do not know of each other.

Each computes the same split from the same command: from names, from what cards and mteb's registry
say of models and mteb of tasks, and from the sizes of the user's own collections; never from what
else happens to be on a machine's disk.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedlab.array_share import Share
from embedlab.models.cards import Card
from embedlab.models.facts import registry_facts
from embedlab.resources import home

if TYPE_CHECKING:
    from mteb import AbsTask

# Where nothing is known: the parameters of a base-sized encoder, what words cost to count in their
# place, characters of a text, and of a task.
_PARAMETERS, _NO_WEIGHTS, _CHARACTERS, _TASK = 1e8, 1e6, 500, 1e6


def store_of(array: str | None) -> Path:
    """The results store by default: EMBEDLAB_HOME/results.duckdb, or a share's own beside it."""
    store = home() / "results.duckdb"
    return Share.read(array).beside(store) if array else store


def planned(
    array: str | None,
    models: Sequence[Card],
    tasks: "Sequence[AbsTask]",
    turn: int = 0,
) -> "list[list[AbsTask]]":
    """The tasks that this process does of each model; all, where it does the whole plan.

    The heaviest evaluation that is left goes to the share that has least to do, so that the longest
    share is at most a third longer than need be (Graham 1969, "Bounds on multiprocessing timing
    anomalies").

    Args:
        array: the share, as `0/3`.
        models: their cards.
        tasks: mteb's tasks, not loaded.
        turn: of several plans one after the other, which: each begins with another share.
    """
    if array is None:
        return [list(tasks) for _ in models]
    share = Share.read(array)
    size = [_parameters(card) for card in models]
    length = [_characters(task) for task in tasks]
    plan = list(product(range(len(models)), range(len(tasks))))
    loads, own = [0.0] * share.parts, set()
    for model, task in sorted(plan, key=lambda each: -size[each[0]] * length[each[1]]):
        least = loads.index(min(loads))
        loads[least] += size[model] * length[task]
        if (least + turn) % share.parts == share.index:
            own.add((model, task))
    return [
        [task for number, task in enumerate(tasks) if (model, number) in own]
        for model in range(len(models))
    ]


def _parameters(card: Card) -> float:
    if not card.kind.has_weights:
        return _NO_WEIGHTS
    return float(card.parameters or registry_facts.of_card(card).get("parameters") or _PARAMETERS)


def _characters(task: "AbsTask") -> float:
    """Of all texts of a task, about."""
    counted: Mapping[str, Any] = task.metadata.descriptive_stats or {}
    splits = [counted[split] for split in task.metadata.eval_splits if split in counted]
    characters = sum(
        each.get("number_of_characters") or _CHARACTERS * each.get("num_samples", 0)
        for each in splits
    )
    return float(characters or sum(map(_bytes, getattr(task, "sources", ()))) or _TASK)


def _bytes(source: Path) -> int:
    """Of the texts in a folder of the user's own."""
    return sum(file.stat().st_size for file in source.rglob("*.jsonl"))
