"""Who takes part in a study: every training of a grid with every seed, its untrained twin, and the
models that are given.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from embedlab.errors import UserError, unknown
from embedlab.models import composition
from embedlab.models.cards import expand
from embedlab.models.settings import model_settings
from embedlab.studies import checkpoints
from embedlab.studies.study_file import Planned, Seen, Study, Training
from embedlab.training import recipe as recipes
from embedlab.training.recipe import Recipe

_VIEW = re.compile(r"(.+?)(@(?:layer|dim|precision|index)=.+)")
_REPLACED = ("recipe", "base")  # by a grid, beside places in the recipe


@dataclass(frozen=True)
class Member:
    """One model of a study.

    group: what the report calls it; its seeds share it. model: as `--model` takes it. twin: the
    group of the same model before its first step.
    """

    group: str
    role: str  # trained, control, baseline, twin
    model: str
    training: str = ""
    seed: int | None = None
    recipe: Recipe | None = None
    folder: Path | None = None
    twin: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)  # of the grid

    @property
    def name(self) -> str:
        """Its name in the results store."""
        if not self.folder:
            return composition.find(self.model).name
        return self.folder.name + self.model.removeprefix(str(self.folder))


def members(study: Study, path: Path) -> list[Member]:
    """All members, seed by seed, so that every training has been run once before any is run again.

    Args:
        study: from `embedlab.studies.study_file.read`.
        path: its file, for errors.

    Raises:
        UserError: a recipe or a model is unknown, or a change does not fit its recipe.
    """
    found = list(_given(study))
    of_seeds: dict[int, list[Member]] = {}
    twins: dict[str, Member] = {}
    for training in study.trainings:
        for seed in training.seeds or study.seeds:
            for values in _grid(training):
                try:
                    of_seeds.setdefault(seed, []).extend(
                        _trained(study, training, seed, values, twins)
                    )
                except UserError as error:
                    where = f"{path}: the training {training.name!r}"
                    raise UserError(f"{where}: {error}", error.hint) from error
    trained = [member for seed in of_seeds for member in of_seeds[seed]]
    return list({(each.group, each.model): each for each in [*found, *trained]}.values())


def _given(study: Study) -> Iterator[Member]:
    for given in study.models:
        names = expand([given.model])
        for name in names:
            composition.find(name)  # whether there is such a model
            label = given.name if given.name and len(names) == 1 else name
            yield Member(label, given.role or "baseline", name)


def _grid(training: Training) -> Iterator[dict[str, Any]]:
    for values in product(*training.grid.values()):
        yield dict(zip(training.grid, values, strict=True))


def _trained(
    study: Study, training: Training, seed: int, values: dict[str, Any], twins: dict[str, Member]
) -> list[Member]:
    """A training with one seed, and its twin before it.

    Args:
        twins: by key, those so far: trainings that start from the same model share its twin.
    """
    own = {"recipe": training.recipe, "base": training.base or study.base} | values
    steps = training.steps or study.steps
    changed = {**({"steps": steps} if steps else {}), **study.set, **training.set, **values}
    changed = {place: value for place, value in changed.items() if place not in _REPLACED}
    found = recipes.read(Path(own["recipe"]), own["base"] or None, {**changed, "seed": seed})
    label = "-".join([training.name, *map(_slug, values.values())])
    recipe, folder = checkpoints.place(found, label)
    twin: Member | None = None
    if training.twin:
        start = checkpoints.twin_of(found)
        digits = checkpoints.key(start)
        if digits not in twins:
            name = f"{label}-untrained"
            before, place = checkpoints.place(start, name)
            model = model_settings.named(str(place), study.settings)
            twins[digits] = Member(name, "twin", model, training.name, seed, before, place)
        twin = twins[digits]
    member = Member(
        label,
        training.role or "trained",
        model_settings.named(str(folder), study.settings),
        training.name,
        seed,
        recipe,
        folder,
        twin.group if twin else "",
        values,
    )
    return [twin, member] if twin else [member]


def _slug(value: Any) -> str:
    return re.sub(r"[^\w.=@]+", "-", str(value)).strip("-")


def chosen(names: Sequence[str], everyone: Sequence[Member], what: str) -> list[str]:
    """The groups that names in a comparison or a view stand for, each once, in their order.

    A view's settings may follow: "mrl@dim=32" is the group mrl seen so.

    Raises:
        UserError: a name stands for nobody.
    """
    roles = {"trained": "trained", "controls": "control", "baselines": "baseline"}
    found: list[str] = []
    for name in names:
        plain, settings = view_of(name)
        groups = [
            each.group + settings
            for each in everyone
            if plain in (each.group, each.model)
            or (each.training == plain and each.role != "twin")
            or (plain in roles and each.role == roles[plain])
        ]
        if not groups:
            known = {*roles, *(each.group for each in everyone)}
            raise unknown(f"member in {what}", name, known, f"Valid: {', '.join(sorted(known))}.")
        found += groups
    return list(dict.fromkeys(found))


def view_of(name: str) -> tuple[str, str]:
    """A name and the settings of the view behind it, "@dim=32"; empty where it is seen in full."""
    found = _VIEW.fullmatch(name)
    return (found[1], found[2]) if found else (name, "")


def pairs(planned: Planned, everyone: Sequence[Member]) -> list[tuple[str, str]]:
    """The groups that a family of comparisons tests, first and second.

    Raises:
        UserError: a name stands for nobody, or nobody is left to compare.
    """
    what = f"the comparison {planned.name!r}"
    twins = {each.group: each.twin for each in everyone if each.twin}
    named = [name for name in planned.second if name != "twin"]
    found = []
    for first in chosen(planned.first, everyone, what):
        seconds = chosen(named, everyone, what)
        if "twin" in planned.second and first in twins:
            seconds = [twins[first], *seconds]
        found += [(first, second) for second in seconds if second != first]
    if not found:
        raise UserError(f"In {what} nobody meets anybody.", "Name other members in it.")
    return list(dict.fromkeys(found))


def seen(view: Seen, everyone: Sequence[Member]) -> list[str]:
    """The groups whose views are evaluated."""
    return chosen(view.of or ["trained"], everyone, "[[views]]")
