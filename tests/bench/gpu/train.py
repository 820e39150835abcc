"""Training on the GPU: three steps of a shipped recipe of each kind of trainer in bfloat16, whole,
and stopped after the second and gone on with.
"""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from tests.bench.gpu import texts
from tests.bench.gpu.figures import Figures
from tests.bench.gpu.worker import Place

STEPS = 3
# Recipe -> the base that it stands on, here with random weights.
RECIPES = {"base-mean": "llama", "mrl-mini": "bert", "mistral-splade-mini": "llama",
           "colbert-mini": "bert", "gem-mini": "llama"}  # fmt: skip
SIZES = {"hidden_size": 160, "intermediate_size": 384, "num_hidden_layers": 4,
         "num_attention_heads": 5, "max_position_embeddings": 512}  # fmt: skip


def run(figures: Figures, place: Place) -> None:
    folder = place.scratch / "training"
    bases = {kind: _base(folder / kind, kind) for kind in ("llama", "bert")}
    pairs = _pairs(folder / "pairs.jsonl")
    failed = []
    for name, kind in RECIPES.items():
        try:
            figures.add(name, *_trained(name, bases[kind], pairs, folder, place))
        except Exception as error:
            failed.append(name)
            figures.add(name, f"failed: {type(error).__name__}: {str(error)[:600]}")
    if failed:
        raise RuntimeError(f"no training of {', '.join(failed)}")


def _trained(name: str, base: Path, pairs: Path, folder: Path, place: Place) -> tuple[str, str]:
    from embedlab.training import recipe, training_run

    changed: dict[str, Any] = {"data": {"path": str(pairs)}, "stages.0.precision": "bfloat16",
                               "stages.0.save_steps": 1}  # fmt: skip
    plan = recipe.read(Path(name), str(base), changed)
    for stage in plan.stages:
        object.__setattr__(stage, "steps", STEPS)
        object.__setattr__(stage, "batch_size", 8 if place.tiny else stage.batch_size)
    began = time.perf_counter()
    whole = training_run.train(plan, folder / name / "whole", device=place.device, progress=_all)
    seconds = time.perf_counter() - began
    try:
        training_run.train(plan, folder / name / "again", device=place.device, progress=_stopped)
        raise AssertionError("was not stopped")
    except KeyboardInterrupt:
        pass
    again = training_run.train(plan, folder / name / "again", device=place.device, progress=_all)
    apart = _apart(folder / name / "whole", folder / name / "again")
    shutil.rmtree(folder / name)
    return (
        f"loss {whole['final_loss']}, resumed {again['final_loss']}, weights differ by at most"
        f" {apart:.2g}",
        f"in {seconds:.1f} s",
    )


@contextmanager
def _all(name: str, steps: int) -> Iterator[Any]:
    yield lambda step, loss: None


@contextmanager
def _stopped(name: str, steps: int) -> Iterator[Any]:
    """As Ctrl-C after the second step of the first stage."""

    def show(step: int, loss: float | None) -> None:
        if step == 2:
            raise KeyboardInterrupt

    yield show


def _apart(one: Path, other: Path) -> float:
    """The greatest difference between the weights in two folders."""
    from safetensors.torch import load_file

    files = sorted(path.relative_to(one) for path in one.rglob("*.safetensors"))
    assert files
    apart = 0.0
    for file in files:
        left, right = load_file(one / file), load_file(other / file)
        assert left.keys() == right.keys()
        apart = max(apart, *(float((left[n].float() - right[n].float()).abs().max()) for n in left))
    return apart


def _base(folder: Path, architecture: str) -> Path:
    from embedlab.training.new_base import write_random

    torch.manual_seed(0)
    heads = {"num_key_value_heads": 5} if architecture == "llama" else {}
    folder.mkdir(parents=True, exist_ok=True)
    write_random(folder, texts.tokenizer(), architecture, **SIZES, **heads)
    return folder


def _pairs(file: Path) -> Path:
    """1,000 pairs: the first words of a passage, and the rest."""
    rows = texts.cut_at(48, 1_000)
    pairs = ({"query": " ".join(t.split()[:8]), "positive": " ".join(t.split()[8:])} for t in rows)
    file.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    return file
