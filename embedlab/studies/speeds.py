"""How long the rest of a study takes, from what trainings and evaluations took on this machine."""

from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from statistics import median
from typing import Any

from embedlab.evaluation.environment import environment
from embedlab.resources import home
from embedlab.studies import checkpoints
from embedlab.studies.members import Member
from embedlab.training.recipe import Recipe
from leaderboard.storage.store import Store

# A training of fewer rows took its time for loading, which tells nothing of a longer one.
_FEWEST_ROWS = 500


class Speeds:
    """Measured seconds; None stands for what nothing like it was measured of.

    Args:
        store: of the evaluations.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._trained = list(_records())

    def training(self, member: Member) -> float | None:
        """Seconds until a training is done, from where it would go on: by trainings of the same
        method, base and batches, else of the same method and base.
        """
        if member.recipe is None or member.folder is None or not member.recipe.stages:
            return None
        own = asdict(member.recipe)
        for likeness in (_shape, _kind):
            rates = [rate for recipe, rate in self._trained if likeness(recipe) == likeness(own)]
            if rates:
                steps = sum(stage.steps for stage in member.recipe.stages)
                left = 1 - checkpoints.steps_done(member.folder, member.recipe) / steps
                return median(rates) * _texts(own) * left
        return None

    def trained(self, recipe: Recipe, seconds: float) -> None:
        """Remember what a training of this study took."""
        own = asdict(recipe)
        if _texts(own) >= _FEWEST_ROWS:
            self._trained.append((own, seconds / _texts(own)))

    def evaluation(self, member: Member, task: str, everyone: list[Member]) -> float | None:
        """Seconds on a task: what the slowest run of a model like it took, since a run of vectors
        that were there already tells nothing of making them.
        """
        measured = self._evaluations().get(task, {})
        likes = (
            [each for each in everyone if each.group == member.group],
            [each for each in everyone if each.training == member.training != ""],
            [each for each in everyone if (each.recipe is None) == (member.recipe is None)],
        )
        for like in likes:
            if known := [measured[each.name] for each in like if each.name in measured]:
                return max(known)
        return None

    def _evaluations(self) -> Mapping[str, Mapping[str, float]]:
        """By task and model: seconds of the slowest run."""

        def read() -> dict[str, dict[str, float]]:
            rows = self._store.query(
                "SELECT task, model, max(seconds) AS seconds FROM (SELECT run_id, sum(seconds) AS"
                " seconds FROM phases GROUP BY run_id) JOIN runs ON id = run_id GROUP BY ALL"
            ).to_pylist()
            found: dict[str, dict[str, float]] = {}
            for row in rows:
                found.setdefault(row["task"], {})[row["model"]] = row["seconds"]
            return found

        found: Mapping[str, Mapping[str, float]] = self._store.cached("slowest runs", read)
        return found


def in_words(seconds: float) -> str:
    """A time as people say it: 40 s, 12 min, 3.4 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _records() -> "list[tuple[dict[str, Any], float]]":
    """Recipes that were trained on this processor and these GPUs, with seconds per text."""
    found = []
    for file in sorted((home() / "trained").glob("*/training.json")):
        record = checkpoints.record(file.parent)
        recipe, machine = record.get("recipe"), record.get("environment") or {}
        here = machine.get("cpu") == _cpu() and bool(machine.get("gpus")) == _has_gpu()
        if recipe and record.get("seconds") and here and _texts(recipe) >= _FEWEST_ROWS:
            found.append((recipe, record["seconds"] / _texts(recipe)))
    return found


@cache
def _cpu() -> str:
    return str(environment()["cpu"])


@cache
def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _texts(recipe: dict[str, Any]) -> float:
    """How many rows a training goes through."""
    return float(
        sum(s["steps"] * s["batch_size"] * s.get("accumulate", 1) for s in recipe["stages"])
    )


def _kind(recipe: dict[str, Any]) -> Any:
    return recipe["method"], recipe["base"]


def _shape(recipe: dict[str, Any]) -> Any:
    stages = [
        (s["objective"], s["batch_size"], s.get("lora"), s.get("precision"))
        for s in recipe["stages"]
    ]
    return _kind(recipe), recipe.get("settings"), stages
