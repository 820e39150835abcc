"""A training run: stages one after the other, resumable,
and a record of how the model came about.
"""

import csv
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import set_seed

from embedlab.encoders.trust import save_model
from embedlab.errors import UserError
from embedlab.evaluation.environment import environment
from embedlab.hardware import as_torch, choose_device
from embedlab.models.facts.training_sets import RECORD
from embedlab.models.files import digests
from embedlab.training import adapting, objectives, snapshots, training_data, untrained
from embedlab.training.recipe import Recipe, Stage
from embedlab.training.trainer import STATE, restore, trainer_for
from embedlab.training.training_bar import Show, bar
from embedlab.training.untrained import Model
from embedlab.training.workplace import WORK, begun, claim, last_checkpoint, publish, step_of
from leaderboard.atomic_files import atomic_write

Progress = Callable[[str, int], AbstractContextManager[Show]]
CURVE = "loss.csv"
LEARNED = "loss.pt"  # in a stage's folder: what its loss learned beside the model


def train(
    recipe: Recipe,
    out: Path,
    *,
    device: str | None = None,
    progress: Progress = bar,
    every: int | None = None,
) -> dict[str, Any]:
    """Train `recipe` into the folder `out`, or go on where a killed run of the same recipe stopped.

    Args:
        recipe: see `embedlab.training.recipe.read`.
        out: a new or empty folder.
        device: torch device; None takes a GPU where there is one.
        progress: `(name, steps)` -> a context that gives a function of step and loss.
        every: keep the model at every so many steps of the last stage too (`snapshots.folders`).

    Returns:
        the record that also stands in out/training.json: recipe, seed, data digest, versions,
            seconds, final losses.

    Raises:
        UserError: `out` holds something else, or a part of the recipe does not fit another.
    """
    device = choose_device(device)
    finished = claim(out, recipe.digest)
    if finished:
        return finished
    with begun(out):
        return _train(recipe, out, device, progress, every)


def _train(
    recipe: Recipe, out: Path, device: str, progress: Progress, every: int | None
) -> dict[str, Any]:
    work = out / WORK
    facts = environment()  # now: a source tree may change under a long run
    started = time.perf_counter()
    origins: dict[str, dict[str, Any]] = {}
    base = _base(recipe, work, origins)
    set_seed(recipe.seed)
    model = untrained.build(recipe.method, base, recipe.settings).to(device)
    adapting.stand_on_base(model, recipe, base)
    dtype = as_torch(recipe.dtype)
    for number, stage in enumerate(recipe.stages, 1):
        folder = work / f"{number}-{stage.objective}"
        earlier = [
            n
            for n, one in enumerate(recipe.stages[: number - 1], 1)
            if one.objective == stage.objective
        ]
        learned = work / f"{earlier[-1]}-{stage.objective}" / LEARNED if earlier else None
        if (folder / STATE).is_file():
            model.load_state_dict(
                torch.load(folder / STATE, map_location=device, weights_only=True)
            )
            adapting.recall(model, folder)
            continue
        rows, origins[f"stage {number}"] = training_data.load(recipe.data | stage.data, recipe.seed)
        set_seed(recipe.seed + number)
        name = f"{recipe.name}: {stage.objective} ({number} of {len(recipe.stages)})"
        with progress(name, stage.steps) as show:
            seed = recipe.seed + number
            last = number == len(recipe.stages)
            kept = every if last else None
            told = _run(model, stage, rows, folder, seed, show, learned, dtype, kept, started)
        _note(work, {"stage": number, **told, "data": origins})
        started = time.perf_counter()
        adapting.keep(model, folder)
        with atomic_write(folder / STATE) as temporary:
            torch.save(model.state_dict(), temporary)
        for checkpoint in folder.glob("checkpoint-*"):
            shutil.rmtree(checkpoint)
    if every:
        snapshots.build(recipe, base, out)
    return _finish(model, recipe, base, out, facts)


def save_untrained(recipe: Recipe, out: Path) -> None:
    """Save the model of `recipe` as it is before the first step:
    what the trained one is measured against.

    Raises:
        UserError: `out` holds something, or a part of the recipe does not fit another.
    """
    claim(out, f"untrained {recipe.digest}")
    with begun(out):
        base = _base(recipe, out / WORK, {})
        set_seed(recipe.seed)
        model = untrained.build(recipe.method, base, recipe.settings).to(as_torch(recipe.dtype))
        adapting.stand_on_base(model, recipe, base)
    publish(out, lambda result: save_model(model, result))


def _run(
    model: Model,
    stage: Stage,
    rows: Dataset,
    folder: Path,
    seed: int,
    show: Show,
    learned: Path | None,
    dtype: torch.dtype,
    every: int | None,
    started: float,
) -> dict[str, Any]:
    """Train one stage in place; the loss curve, one row per logged step, the tokens read and the
    seconds taken, those of stopped processes with them.

    Args:
        learned: what the loss of an earlier stage with this objective learned beside the model,
            such as GEM's temperature: this stage goes on from it.
        dtype: of the result, in which adapters are kept.
        every: see `train`.
        started: when this process began with the stage, by `time.perf_counter`.
    """
    if stage.dropout is not None:
        _set_dropout(model, stage.dropout)  # before the adapters, which have their own
    with _fitting(stage):
        adapters = adapting.Adapters(model, stage.lora) if stage.lora else None
        loss = objectives.build(stage.objective, model, stage.settings).to(model.device)
    if learned:
        loss.load_state_dict(
            torch.load(learned, map_location=model.device, weights_only=True), strict=False
        )
    mask_token = model.tokenizer.mask_token or model.tokenizer.unk_token or ""
    rows = objectives.prepare(
        stage.objective, rows, stage.settings, mask_token=mask_token, seed=seed
    )
    with _fitting(stage):
        trainer = trainer_for(model, stage, rows, loss, folder, seed=seed, show=show)
    trainer.started = started
    if every:
        trainer.add_callback(snapshots.Snapshots(loss, every, folder.parent))
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = last_checkpoint(folder)
    if checkpoint and step_of(checkpoint) >= stage.steps:  # the trainer would take one step more
        restore(trainer, checkpoint)
    else:
        with _kernels(model.device), _steps(stage):
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    beside = {
        name: value.detach()
        for name, value in loss.named_parameters()
        if not name.startswith("model.")
    }
    torch.save(beside, folder / LEARNED)
    if adapters is not None:
        adapters.merge(dtype)
    curve = [entry for entry in trainer.state.log_history if "loss" in entry]
    tokens = trainer.state.num_input_tokens_seen
    return {"curve": curve, "seconds": trainer.seconds, "tokens": tokens}


@contextmanager
def _fitting(stage: Stage) -> Iterator[None]:
    """What transformers, peft and the losses say to the values of a stage is a user's to mend."""
    try:
        yield
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"The stage {stage.objective} cannot be set up: {error}", "Correct its values."
        ) from error


@contextmanager
def _steps(stage: Stage) -> Iterator[None]:
    """torch refuses a step that its numbers cannot hold."""
    try:
        yield
    except RuntimeError as error:
        if "without overflow" not in str(error):
            raise
        raise UserError(
            f"A step of the stage {stage.objective} is too large: its learning_rate is"
            f" {stage.learning_rate}.",
            "Lower learning_rate.",
        ) from error


def _kernels(device: torch.device) -> AbstractContextManager[Any]:
    """Plain attention on CPUs:
    the backward pass of their fused kernel takes twice as long on short texts.
    """
    return sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()


def _set_dropout(model: Model, share: float) -> None:
    """Dropout of every layer that has one, and of the attention
    where the layers have none (decoders).
    """
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = share
        if hasattr(module, "attention_dropout"):
            setattr(module, "attention_dropout", share)  # noqa: B010  # no tensor, as torch has it


def _base(recipe: Recipe, work: Path, origins: dict[str, Any]) -> str | Path:
    """The base's folder, made first where the recipe describes a new one."""
    if isinstance(recipe.base, str):
        return recipe.base
    from embedlab.encoders.modules.weights import read_tokenizer
    from embedlab.training.new_base import train_tokenizer, write_random

    folder = work / "base"
    config = dict(recipe.base)
    source = config.pop("tokenizer", None)
    vocabulary = config.pop("vocabulary", 4096)
    words = untrained.resolve(config.pop("words")) if "words" in config else None
    if "architecture" not in config:
        raise UserError(
            f"[base] of {recipe.name} has no architecture.",
            'Give a model type: architecture = "llama".',
        )
    if not (folder / "config.json").is_file():
        if source:
            tokenizer = read_tokenizer(untrained.resolve(source))
        else:
            rows, origins["tokenizer"] = training_data.load(recipe.data, recipe.seed)
            tokenizer = train_tokenizer(objectives.arrange(rows, "text")["text"], vocabulary)
        partial = folder.with_name("base.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        set_seed(recipe.seed)
        write_random(partial, tokenizer, words=words, **config)
        partial.replace(folder)
    return folder


def _note(work: Path, entry: dict[str, Any]) -> None:
    file = work / "stages.jsonl"
    earlier = file.read_text(encoding="utf-8") if file.is_file() else ""
    with atomic_write(file) as temporary:
        temporary.write_text(earlier + json.dumps(entry) + "\n", encoding="utf-8")


def _finish(
    model: Model, recipe: Recipe, base: str | Path, out: Path, facts: dict[str, Any]
) -> dict[str, Any]:
    """Save the model, the curve and the record;
    the work folder goes last, so a kill before loses nothing.
    """
    lines = (out / WORK / "stages.jsonl").read_text(encoding="utf-8").splitlines()
    # A repeated stage counts once.
    stages = list({stage["stage"]: stage for stage in map(json.loads, lines)}.values())
    record = {
        "digest": recipe.digest,
        "recipe": asdict(recipe),
        "base_weights": _sha256(untrained.resolve(base)),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "seconds": round(sum(stage["seconds"] for stage in stages), 1),
        "tokens": sum(stage.get("tokens", 0) for stage in stages),
        "final_loss": [
            round(float(stage["curve"][-1]["loss"]), 5) if stage["curve"] else None
            for stage in stages
        ],
        "data": {name: origin for stage in stages for name, origin in stage["data"].items()},
        "environment": {
            key: facts[key]
            for key in ("packages", "python", "cpu", "threads", "gpus", "git_revision")
        },
    }

    config = getattr(model, "config", None)
    if config is not None:
        config.use_cache = False  # as a trainer sets it, which a run stopped after it had none of

    model = model.to(as_torch(recipe.dtype))
    if not all(parameter.isfinite().all() for parameter in model.parameters()):
        raise UserError(
            f"The weights of {recipe.name} after training are not all numbers in {recipe.dtype}.",
            'Lower learning_rate, or take dtype = "float32", in a new folder.',
        )

    def fill(result: Path) -> None:
        save_model(model, result)
        _write_curve(result / CURVE, stages)
        (result / RECORD).write_text(
            json.dumps(record, indent=1, default=str) + "\n", encoding="utf-8"
        )

    publish(out, fill)
    return record


def _write_curve(file: Path, stages: list[dict[str, Any]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["stage", "step", "loss", "learning_rate"])
        for stage in stages:
            rows = (
                (entry["step"], entry["loss"], entry["learning_rate"]) for entry in stage["curve"]
            )
            writer.writerows(
                [stage["stage"], step, f"{float(loss):.5g}", f"{rate:.3g}"]
                for step, loss, rate in rows
            )


def _sha256(folder: Path) -> dict[str, str]:
    """The weights' files in a folder, each with its sha256."""
    paths = sorted([*folder.rglob("*.safetensors"), *folder.rglob("*.bin")])
    return {path.relative_to(folder).as_posix(): digests.sha256(path) for path in paths}
