"""What models were trained on: of one that was trained here, as the training.json in its folder
says, with what its base was trained on; of all others, as mteb's registry says.

Where a source is not known to be free of a task's data (a file, a data set of the hub), neither is
the model, and the share of tasks that it never saw is unknown. A language model that is no embedder
counts as trained on no task, as in mteb's lists.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from embedlab import models
from embedlab.bases import folders
from embedlab.errors import UserError
from embedlab.models.cards import Card
from embedlab.models.facts import registry_facts
from embedlab.models.facts.registry_facts import Facts
from embedlab.resources import DATA

RECORD = "training.json"


class Trained(NamedTuple):
    """Sources in words, and the tasks whose data are among them; None where that is not known."""

    sources: list[str]
    tasks: set[str] | None


def of_card(card: Card) -> Facts:
    """What is known of a card's model, `training_datasets` of a model that was trained here too."""
    known, own = registry_facts.of_card(card), of_folder(_folder(card))
    if own is None:
        return known
    known = {key: value for key, value in known.items() if key != "training_datasets"}
    return known if own.tasks is None else known | {"training_datasets": sorted(own.tasks)}


def of_several(cards: Iterable[Card]) -> Facts:
    """The facts of several models as one: what any of them was trained on, where all say so."""
    trained = [of_card(card).get("training_datasets") for card in cards]
    if any(each is None for each in trained):
        return {}
    return {"training_datasets": sorted({task for each in trained for task in each or ()})}


def record_of(card: Card) -> Trained | None:
    """What the model's own folder says; None where it says nothing."""
    return of_folder(_folder(card))


def of_folder(folder: Path | None, seen: frozenset[Path] = frozenset()) -> Trained | None:
    """What the record of a folder says; None where there is none that can be read."""
    if folder is None or folder.resolve() in seen:
        return None
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        recipe, stages = record["recipe"], record["recipe"]["stages"]
        sources, tasks = list[str](), set[str]()
        known = True
        for number, stage in enumerate(stages, 1):
            data = {**recipe["data"], **stage["data"]}
            read = record["data"].get(f"stage {number}", {})
            named = {each["task"]: each["split"] for each in read.get("tasks", ())}
            sources += _described(data, named)
            counted = [_counted(title) for title in named]
            tasks = tasks.union(*(each for each in counted if each))
            known &= None not in counted and bool(read) and _is_known(data, len(named))
        for base in _bases(recipe):
            trained = _of_base(base, seen | {folder.resolve()})
            tasks |= trained or set()
            known &= trained is not None
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
    return Trained(list(dict.fromkeys(sources)), tasks if known else None)


def _folder(card: Card) -> Path | None:
    """Where a model of this machine lies."""
    if card.checkpoint:
        return DATA / "checkpoints" / card.checkpoint
    folder = Path(card.source)
    return folder if card.source and folder.is_absolute() and folder.is_dir() else None


def _parts(data: dict[str, Any]) -> list[dict[str, Any]]:
    return data.get("sources") or [data]


def _described(data: dict[str, Any], named: dict[str, str]) -> list[str]:
    """Each source in a word or two."""
    words = [
        f"{key} {part[key] if isinstance(part[key], str) else ', '.join(part[key])}"
        for part in _parts(data)
        for key in ("packages", "path", "hub")
        if part.get(key)
    ]
    return words + [f"task {title}, split {split}" for title, split in named.items()]


def _is_known(data: dict[str, Any], tasks: int) -> bool:
    """Whether every source is one of installed packages, or a task's."""
    parts = _parts(data)
    packages = sum(bool(part.get("packages")) for part in parts)
    return packages + tasks >= len(parts)


def _counted(title: str) -> set[str] | None:
    """A task of mteb with those made of the same data; None of a collection of one's own."""
    import mteb
    from mteb.models import ModelMeta

    try:
        mteb.get_task(title)
    except KeyError:
        return None
    return ModelMeta.create_empty({"training_datasets": {title}}).get_training_datasets()


def _bases(recipe: dict[str, Any]) -> Iterator[str]:
    """The models that a recipe begins with, or learns from."""
    base = recipe["base"]
    yield from [base] if isinstance(base, str) else filter(None, [base.get("words")])
    for settings in (recipe.get("settings") or {}, *(s["settings"] for s in recipe["stages"])):
        yield from (settings[key] for key in ("context_encoder", "teacher") if settings.get(key))


def _of_base(name: str, seen: frozenset[Path]) -> set[str] | None:
    """The tasks that a base was trained on; None where nobody has said."""
    for folder in (DATA / "checkpoints" / name, Path(name)):
        if (folder / RECORD).is_file():
            trained = of_folder(folder, seen)
            return trained.tasks if trained else None
    if folders.is_base(name):
        return set()
    try:
        said = registry_facts.of_card(models.find(name)).get("training_datasets")
    except UserError:
        return None
    return None if said is None else set(said)
