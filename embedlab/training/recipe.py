"""A recipe: everything that shapes a training run, as a TOML file.

description = "..."
method = "causal2vec"          # a key of embedlab.training.untrained.METHODS
base = "base-decoder"          # a folder, a hub id, a shipped checkpoint, or a base of a
                               # package: smollm2-135m@layers=12; or a table: a new, random one
seed = 1

[settings]                     # of the method
context_encoder = "base-encoder"

[data]                         # see embedlab.training.training_data
packages = "minis"

[[stages]]                     # one after the other
objective = "contrastive"      # a key of embedlab.training.objectives.OBJECTIVES
steps = 400
[stages.settings]              # of the objective
scale = 20.0
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from math import inf
from pathlib import Path
from typing import Any

from embedlab import toml_files
from embedlab.errors import UserError, unknown
from embedlab.hardware import DTYPES
from embedlab.resources import DATA

PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True)
class Lora:
    """Low-rank adapters instead of the backbone's own weights;
    they are merged at the end of the stage.
    """

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.1
    targets: str = "all-linear"  # a regular expression of module names, or "all-linear"


@dataclass(frozen=True)
class Stage:
    """One objective, trained for a number of steps."""

    objective: str
    steps: int
    batch_size: int = 64
    accumulate: int = 1  # batches per step
    learning_rate: float = 2e-5
    # By regular expression of parameter names.
    learning_rates: dict[str, float] = field(default_factory=dict)
    warmup: float = 0.1  # share of the steps
    # Of the learning rate after the warm-up, a name of transformers' SchedulerType.
    schedule: str = "linear"
    optimizer: str = "adamw_torch"
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    # float32, bfloat16 (autocast), or auto: bfloat16 on GPUs, and on CPUs with AMX or AVX512-BF16.
    precision: str = "auto"
    save_steps: int = 100
    settings: dict[str, Any] = field(default_factory=dict)
    lora: Lora | None = None
    data: dict[str, Any] = field(default_factory=dict)  # replaces keys of the recipe's data
    dropout: float | None = None  # of the backbone, during this stage


@dataclass(frozen=True)
class Recipe:
    """A training run, in full."""

    name: str
    method: str
    base: str | dict[str, Any]
    stages: list[Stage]
    data: dict[str, Any]
    description: str = ""
    seed: int = 1
    settings: dict[str, Any] = field(default_factory=dict)
    dtype: str = "float16"  # of the weights in the result

    @property
    def digest(self) -> str:
        """16 hexadecimal digits; the description does not count."""
        content = {key: value for key, value in asdict(self).items() if key != "description"}
        return hashlib.sha256(
            json.dumps(content, sort_keys=True, default=str).encode()
        ).hexdigest()[:16]


def read(path: Path, base: str | None = None, changed: Mapping[str, Any] | None = None) -> Recipe:
    """The recipe in a TOML file.

    Args:
        path: the file; a bare name is looked up among the shipped recipes.
        base: replaces the recipe's base.
        changed: values in place of the file's, each by its dotted place: "settings.max_length",
            "stages.0.steps"; "steps" are those of the last stage, and the earlier ones change in
            proportion.

    Raises:
        UserError: there is no such file, or it is no recipe: the first key that is wrong is named.
    """
    from transformers import SchedulerType
    from transformers.training_args import OptimizerNames

    from embedlab.training import changes
    from embedlab.training.objectives import OBJECTIVES
    from embedlab.training.untrained import METHODS

    shipped = DATA / "recipes" / f"{path.name.removesuffix('.toml')}.toml"
    if not path.is_file() and path.parent == Path() and shipped.is_file():
        path = shipped
    if not path.is_file():
        names = sorted(p.stem for p in shipped.parent.glob("*.toml") if p.stem != "packages")
        raise unknown(
            "recipe",
            str(path),
            names,
            f"Shipped: {', '.join(names)}. Or give the path of a TOML file.",
        )
    given = {
        **(changes.apply(toml_files.read(path, "recipe"), changed) if changed else {}),
        "name": path.stem,
        **({"base": base} if base else {}),
    }
    recipe = toml_files.read_as(
        Recipe, path, "recipe", hint=f"Compare it with {shipped.parent}.", given=given
    )
    if not recipe.stages:
        raise UserError(
            f"The recipe {path.name} has no stages.", "Add one [[stages]] with objective and steps."
        )
    _check(path, (), recipe, {"method": METHODS, "dtype": DTYPES})
    in_stages = {
        "objective": OBJECTIVES,
        "precision": PRECISIONS,
        "schedule": [each.value for each in SchedulerType],
        "optimizer": [each.value for each in OptimizerNames],
    }
    for number, stage in enumerate(recipe.stages):
        _check(path, ("stages", number), stage, in_stages)
        for name in ("steps", "batch_size", "accumulate", "learning_rate", "save_steps"):
            if not 0 < getattr(stage, name) < inf:
                raise UserError(
                    f"{name} is {getattr(stage, name)} in the recipe {path.name}.",
                    "Give more than 0.",
                )
        if stage.lora and stage.lora.rank <= 0:
            raise UserError(
                f"rank is {stage.lora.rank} in the recipe {path.name}.", "Give more than 0."
            )
    return recipe


def _check(
    path: Path,
    place: tuple[str | int, ...],
    table: Recipe | Stage,
    valid: Mapping[str, Collection[str]],
) -> None:
    """Refuse values that are none of the valid ones; the error names file and line."""
    for name, names in valid.items():
        value = getattr(table, name)
        if value not in names:
            raise unknown(
                name,
                value,
                names,
                f"It stands in {toml_files.where(path, (*place, name))}."
                f" Valid: {', '.join(names)}.",
            )
