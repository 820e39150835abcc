"""The model at some steps of a training, for a curve of score against steps.

While the last stage trains, what trains is written down every so many steps, and nothing else is
touched: the training ends with the same weights as without. From that, models are built once it is
over, beside its folder:

DIR.steps/NAME-step50   a model like any other; NAME is that of DIR
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from embedlab.encoders.trust import save_model
from embedlab.hardware import as_torch
from embedlab.training import adapting, objectives, untrained
from embedlab.training.recipe import Recipe
from embedlab.training.trainer import STATE
from embedlab.training.workplace import WORK, publish
from leaderboard.atomic_files import atomic_write

_KEPT = "steps"  # in the folder of an unfinished training: STEP.pt


class Snapshots(TrainerCallback):
    """Writes what trains of a loss, and of the model in it, every so many steps."""

    def __init__(self, loss: nn.Module, every: int, work: Path):
        self.loss, self.every, self.folder = loss, every, work / _KEPT

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.global_step % self.every or state.global_step >= state.max_steps:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        trained = {
            name: value.detach().cpu()
            for name, value in self.loss.named_parameters(remove_duplicate=False)
            if value.requires_grad
        }
        with atomic_write(self.folder / f"{state.global_step}.pt") as temporary:
            torch.save(trained, temporary)


def folders(out: Path) -> dict[int, Path]:
    """The models of a training's steps that are there, by step."""
    place = out.with_name(f"{out.name}.steps")
    found = place.glob(f"{out.name}-step*") if place.is_dir() else ()
    whole = (path for path in found if (path / "modules.json").is_file())
    steps = {int(path.name.rpartition("-step")[2]): path for path in whole}
    return dict(sorted(steps.items()))


def build(recipe: Recipe, base: str | Path, out: Path) -> None:
    """Build the models of the steps that were written down, those that are not there yet."""
    there = folders(out)
    for step, kept in sorted(_kept(out / WORK)):
        if step not in there:
            target = out.with_name(f"{out.name}.steps") / f"{out.name}-step{step}"
            with torch.random.fork_rng():
                _build(recipe, base, out / WORK, kept, target)


def _build(recipe: Recipe, base: str | Path, work: Path, kept: Path, target: Path) -> None:
    torch.manual_seed(recipe.seed)
    model = untrained.build(recipe.method, base, recipe.settings)
    adapting.stand_on_base(model, recipe, base)
    if len(recipe.stages) > 1:
        number = len(recipe.stages) - 1
        before = work / f"{number}-{recipe.stages[-2].objective}"
        model.load_state_dict(torch.load(before / STATE, map_location="cpu", weights_only=True))
        adapting.recall(model, before)
    stage, dtype = recipe.stages[-1], as_torch(recipe.dtype)
    adapters = adapting.Adapters(model, stage.lora) if stage.lora else None
    loss = objectives.build(stage.objective, model, stage.settings)
    trained = torch.load(kept, map_location="cpu", weights_only=True)
    loss.load_state_dict(trained, strict=False)
    if adapters is not None:
        adapters.merge(dtype)
    (target / WORK).mkdir(parents=True, exist_ok=True)
    publish(target, lambda result: save_model(model.to(dtype), result))


def _kept(work: Path) -> Iterator[tuple[int, Path]]:
    for path in (work / _KEPT).glob("*.pt"):
        yield int(path.stem), path
