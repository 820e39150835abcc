"""sentence-transformers' trainers, made to resume exactly.

Their own checkpoints hold the model as it is saved for use. That loses what only training has: the
parameters of a loss (GEM's temperature, the heads of language modelling) and adapters that are not
merged yet.
"""

import math
import re
import time
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from datasets import Dataset
from sentence_transformers import (
    MultiVectorEncoder,
    MultiVectorEncoderTrainer,
    MultiVectorEncoderTrainingArguments,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
    SparseEncoder,
    SparseEncoderTrainer,
    SparseEncoderTrainingArguments,
)
from sentence_transformers.base.training_args import BaseTrainingArguments
from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import PrinterCallback, ProgressCallback, TrainerState

from embedlab.compat.transformers_internals import OwnCheckpoints
from embedlab.errors import UserError
from embedlab.training.recipe import Stage
from embedlab.training.samplers import SimilarLengths
from embedlab.training.training_bar import Show
from embedlab.training.untrained import Model
from embedlab.training.workplace import keep_last_checkpoint

STATE = "state.pt"
_SECONDS = "seconds"
Arguments = TypeVar("Arguments", bound=BaseTrainingArguments)


@runtime_checkable
class Scheduled(Protocol):
    """A loss whose terms change over time."""

    def on_step(self, step: int, steps: int) -> None:
        """Step number `step`, from 0, of `steps` begins."""


class _Resumable(OwnCheckpoints):
    """Checkpoints are the state of the loss, which holds the model."""

    loss: Any  # a module; sentence-transformers' own is inferred as a dictionary of several
    state: TrainerState
    train_dataset: Dataset
    seconds_before = 0.0  # what the processes took that were stopped before
    started = 0.0  # of this one's work on the stage, by `time.perf_counter`

    @property
    def seconds(self) -> float:
        return self.seconds_before + time.perf_counter() - self.started

    def write_state(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(self.loss.state_dict(), folder / STATE)
        (folder / _SECONDS).write_text(str(self.seconds), encoding="utf-8")

    def checkpoint_written(self) -> None:
        """The one before it goes once this one is whole:
        a run that is killed here goes on from one of them.
        """
        keep_last_checkpoint(Path(self.args.output_dir), self.state.global_step)

    def read_state(self, folder: Path) -> None:
        state = torch.load(folder / STATE, map_location="cpu", weights_only=True)
        self.loss.load_state_dict(state)
        if (folder / _SECONDS).is_file():  # older editions wrote none
            self.seconds_before = float((folder / _SECONDS).read_text(encoding="utf-8"))

    def collect_features(
        self, inputs: dict[str, Any]
    ) -> tuple[list[dict[str, Any]], torch.Tensor | None]:
        """One dictionary per column. The stock rule takes Causal2Vec's context_input_ids for a
        column of its own.
        """
        names = [name for name in self.train_dataset.column_names if f"{name}_input_ids" in inputs]
        masks = [inputs[key] for key in inputs if key.endswith("attention_mask")]
        # Kept with the trainer's state, so that a run that was resumed knows those of before.
        self.state.num_input_tokens_seen += int(sum(mask.sum() for mask in masks))
        return [
            {
                key.removeprefix(f"{name}_"): value
                for key, value in inputs.items()
                if key.startswith(f"{name}_")
            }
            for name in names
        ], inputs.get("label")

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """No generated README:
        the record and the card are written by `embedlab train` and by hand.
        """


class DenseTrainer(_Resumable, SentenceTransformerTrainer):
    """The trainer of dense methods."""


class SparseTrainer(_Resumable, SparseEncoderTrainer):
    """The trainer of sparse methods."""


class LateTrainer(_Resumable, MultiVectorEncoderTrainer):
    """The trainer of late-interaction methods."""


Trainer = DenseTrainer | SparseTrainer | LateTrainer


def restore(trainer: Trainer, checkpoint: Path) -> None:
    """Put a trainer where it was when it saved a checkpoint:
    the model, what its loss learned, and its history.
    """
    trainer.read_state(checkpoint)
    trainer.state = TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME))


def trainer_for(
    model: Model,
    stage: Stage,
    rows: Dataset,
    loss: nn.Module,
    folder: Path,
    *,
    seed: int,
    show: Show | None = None,
) -> Trainer:
    """A trainer for one stage, its checkpoints in `folder`.

    Args:
        rows: data set with the columns that the loss reads.
        show: told each step and the loss last logged.

    Raises:
        UserError: a learning rate is for parameters that the model does not have.
    """
    for pattern in stage.learning_rates:
        if not any(re.search(pattern, name) for name, _ in loss.named_parameters()):
            raise UserError(
                f"learning_rates of the stage {stage.objective} names {pattern!r}, which is part of"
                " no parameter's name of this base.",
                "Correct it, or take a base that has such: "
                f"{', '.join(sorted({_short(name) for name, _ in model.named_parameters()})[:6])}.",
            )
    trainer: Trainer
    ramp = _ramp(loss) or None
    if isinstance(model, SparseEncoder):
        sparse = _arguments(
            SparseEncoderTrainingArguments, stage, len(rows), folder, seed, model.device
        )
        trainer = SparseTrainer(
            model=model, args=sparse, train_dataset=rows, loss=loss, callbacks=ramp
        )
    elif isinstance(model, MultiVectorEncoder):
        late = _arguments(
            MultiVectorEncoderTrainingArguments, stage, len(rows), folder, seed, model.device
        )
        trainer = LateTrainer(model=model, args=late, train_dataset=rows, loss=loss, callbacks=ramp)
    else:
        dense = _arguments(
            SentenceTransformerTrainingArguments, stage, len(rows), folder, seed, model.device
        )
        trainer = DenseTrainer(
            model=model, args=dense, train_dataset=rows, loss=loss, callbacks=ramp
        )
    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(ProgressCallback)
    trainer.add_callback(_Diverged(stage.objective))
    if isinstance(loss, Scheduled):
        trainer.add_callback(_Schedule(loss))
    if show:
        trainer.add_callback(_Report(show))
    return trainer


def _short(name: str) -> str:
    """The module of a parameter by its own name: embed_tokens, q_proj."""
    return name.removesuffix(".weight").removesuffix(".bias").rpartition(".")[2]


def _arguments(
    kind: type[Arguments], stage: Stage, rows: int, folder: Path, seed: int, device: torch.device
) -> Arguments:
    """A stage as the arguments of a trainer, the same for every kind of model."""
    on_cpu = device.type == "cpu"
    return kind(
        output_dir=str(folder),
        max_steps=stage.steps,
        per_device_train_batch_size=stage.batch_size,
        gradient_accumulation_steps=stage.accumulate,
        learning_rate=stage.learning_rate,
        learning_rate_mapping=stage.learning_rates,
        lr_scheduler_type=stage.schedule,
        warmup_steps=round(stage.steps * stage.warmup),
        optim=stage.optimizer,
        weight_decay=stage.weight_decay,
        max_grad_norm=stage.max_grad_norm,
        bf16=_bfloat16(stage.precision, device),
        use_cpu=on_cpu,
        save_strategy="steps",
        save_steps=stage.save_steps,
        logging_nan_inf_filter=False,  # it logs a loss that is not a number as 0
        logging_steps=max(1, min(10, stage.steps // 10)),
        dataloader_drop_last=rows >= stage.batch_size,
        dataloader_pin_memory=not on_cpu,
        seed=seed,
        data_seed=seed,
        batch_sampler=SimilarLengths,
        report_to=[],
        disable_tqdm=True,
    )


def _ramp(loss: nn.Module) -> list[TrainerCallback]:
    """What lets the weights of FLOPS rise (`objectives.splade`)."""
    from sentence_transformers.sparse_encoder.callbacks.splade_callbacks import (
        SpladeRegularizerWeightSchedulerCallback,
    )
    from sentence_transformers.sparse_encoder.losses import SpladeLoss

    ramp: Any = getattr(loss, "flops_ramp", None)
    if ramp is None or not isinstance(loss, SpladeLoss):
        return []
    return [SpladeRegularizerWeightSchedulerCallback(loss, *ramp)]


def _bfloat16(precision: str, device: torch.device) -> bool:
    """Whether to train under autocast.
    CPUs that do not multiply bfloat16 take several times as long for it, above all backwards; with
    AVX512-BF16 a step of LoRA takes 0.6 of the time that it takes in float32.
    """
    from embedlab.hardware import choose_dtype

    if precision == "auto" and device.type == "cpu":
        there = torch.cpu.get_capabilities()
        return bool(there.get("amx_tile") or there.get("avx512_bf16"))
    return choose_dtype(precision, str(device))[0] == "bfloat16"


class _Schedule(TrainerCallback):
    """Tells a loss whose terms change over time how far the training is."""

    def __init__(self, loss: Scheduled):
        self.loss = loss

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.loss.on_step(state.global_step, state.max_steps)


class _Diverged(TrainerCallback):
    """Ends a training whose loss is no number any more: its weights are lost, and its last
    checkpoint is from before.
    """

    def __init__(self, objective: str):
        self.objective = objective

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if logs and not math.isfinite(logs.get("loss", 0.0)):
            raise UserError(
                f"The loss of the stage {self.objective} is {logs['loss']} "
                f"by step {state.global_step}.",
                "Lower learning_rate, or take float32 for precision, in a new folder.",
            )


class _Report(TrainerCallback):
    """Shows how far the stage is, and the loss last logged."""

    def __init__(self, show: Show):
        self.show = show
        self.loss: float | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.show(state.global_step, self.loss)  # where an earlier run stopped

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if logs and "loss" in logs:
            self.loss = float(logs["loss"])

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.show(state.global_step, self.loss)
