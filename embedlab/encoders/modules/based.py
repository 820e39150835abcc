"""A backbone kept as what was trained on its base: low-rank factors and rows of new tokens.

base.json            the base by name, revision, and the digest of its tensors; added tokens
adapter.safetensors  per stage N and layer the factors `N.LAYER.A` [r, in] and `N.LAYER.B`
                     [out, r], of which B @ A is added to the layer's weight (LoRA,
                     arXiv:2106.09685, its scaling multiplied in); `tokens` and `head`, rows

They are added in float32 on the CPU, after training as after loading, so that a model that was
loaded is the one that was saved, bit for bit.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import GenerationConfig, PreTrainedModel
from transformers.pytorch_utils import Conv1D

from embedlab.bases import origins
from embedlab.encoders.modules.tokenizers import input_embeddings
from embedlab.errors import UserError
from leaderboard.plain_json import from_json
from leaderboard.typed_values import Misfit, convert

NAME = "base.json"
ADAPTER = "adapter.safetensors"
GENERATION = "generation_config.json"
Factors = dict[str, torch.Tensor]  # LAYER.A and LAYER.B


@dataclass
class Based:
    """What a backbone is made of, beside the base's own weights."""

    base: str = ""  # a name or path that `origins.find` knows; empty: it is kept whole
    revision: str = ""
    tokens: list[int] = field(default_factory=list)  # ids that the base lacks
    stages: list[Factors] = field(default_factory=list)


def of(model: nn.Module) -> Based:
    """What is known of a backbone's origin; kept with the model."""
    found = vars(model).get("based")
    if not isinstance(found, Based):
        found = vars(model)["based"] = Based()
    return found


@dataclass(frozen=True)
class BaseRecord:
    """base.json."""

    base: str
    revision: str
    digest: str  # of the base's tensors, see `origins.digest`
    tokens: list[int] = field(default_factory=list)
    vocabulary: int = 0  # rows of the token embeddings, where there are added tokens
    retied: bool = False  # of a head over the vocabulary, see `splade.words_of`


def is_based(folder: Path) -> bool:
    """Whether a folder holds what was trained on a base, and not the whole."""
    return (folder / NAME).is_file()


def base_record(folder: Path) -> BaseRecord:
    """What a folder says of its base.

    Raises:
        UserError: its file is damaged.
    """
    file = folder / NAME
    try:
        return convert(from_json(file.read_bytes()), BaseRecord)
    except (OSError, ValueError, Misfit) as error:
        raise UserError(f"{file} does not name a base: {error}.", "Get the model again.") from error


def base_folder(folder: Path) -> Path:
    """The base of the model in `folder`.

    Raises:
        UserError: it is not here, or another one.
    """
    record = base_record(folder)
    base = _find(record.base, record.revision or None, folder)
    origins.check(record.base, base, record.digest, folder / NAME)
    return base


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    """What was trained, by name.

    Raises:
        UserError: the file is not there.
    """
    if not (folder / ADAPTER).is_file():
        raise UserError(f"The folder {folder} has {NAME} but no {ADAPTER}.", "Get the model again.")
    return load_file(folder / ADAPTER)


def write(folder: Path, origin: Based, trained: dict[str, torch.Tensor], **more: Any) -> None:
    """Write what was trained, and name its base.

    Args:
        more: further fields of `BaseRecord`.
    """
    base = _find(origin.base, origin.revision or None, folder)
    record = BaseRecord(origin.base, origin.revision, origins.digest(base), **more)
    save_file(trained, folder / ADAPTER, metadata={"format": "pt"})
    (folder / NAME).write_text(json.dumps(asdict(record), indent=1) + "\n", encoding="utf-8")


def complete(
    model: PreTrainedModel, folder: Path, dtype: torch.dtype | str | None = None
) -> PreTrainedModel:
    """Make the base, in float32, the model of which `folder` holds what was trained.

    Args:
        dtype: of the result, or its name; None and "auto" are float32.

    Raises:
        UserError: the adapter does not fit the base.
    """
    record, trained = base_record(folder), tensors(folder)
    found = Based(record.base, record.revision, record.tokens, stages_of(trained))
    try:
        for factors in found.stages:
            merge(model, factors)
        _set_rows(model, record, trained)
    except (KeyError, AttributeError, RuntimeError, IndexError) as error:
        raise UserError(
            f"The adapter in {folder} does not fit its base {record.base}: {error}.",
            "Get the model again.",
        ) from error
    if (folder / GENERATION).is_file():
        model.generation_config = GenerationConfig.from_pretrained(folder)
    vars(model)["based"] = found
    as_module: nn.Module = model
    as_module.to(getattr(torch, dtype, None) if isinstance(dtype, str) else dtype)
    return model


@torch.no_grad()
def merge(model: PreTrainedModel, factors: Factors) -> None:
    """Add low-rank factors to the weights of a model's layers, in float32 on the CPU."""
    layers = dict(inner(model).named_modules())
    for key in factors:
        if not key.endswith(".A"):
            continue
        name = key.removesuffix(".A")
        layer = layers[name]
        weight: Any = layer.weight
        added = factors[f"{name}.B"].cpu().float() @ factors[key].cpu().float()
        if isinstance(layer, Conv1D):  # keeps its weight the other way round
            added = added.T
        weight.copy_((weight.cpu().float() + added).to(weight))


def inner(model: PreTrainedModel) -> nn.Module:
    """The transformer inside a model with a head, whose layers have the same names without it."""
    return model.base_model


def save(model: PreTrainedModel, folder: Path) -> None:
    """Save a backbone: what was trained on its base, or all of it where that is not enough to
    have it back as it is.
    """
    origin = of(model)
    if origin.base:
        _write_backbone(model, origin, folder)
        if _is_same(model, origins.find(origin.base, origin.revision or None), folder):
            return
        for name in (NAME, ADAPTER, GENERATION):
            (folder / name).unlink(missing_ok=True)
    model.save_pretrained(folder)


def stages_of(tensors: dict[str, torch.Tensor]) -> list[Factors]:
    """Each stage's factors, in their order, from tensors named `N.LAYER.A`."""
    stages: dict[int, Factors] = {}
    for key, tensor in tensors.items():
        number, _, name = key.partition(".")
        if number.isdigit():
            stages.setdefault(int(number), {})[name] = tensor
    return [stages[number] for number in sorted(stages)]


def by_stage(stages: list[Factors]) -> dict[str, torch.Tensor]:
    """All stages' factors as `stages_of` reads them."""
    return {
        f"{number}.{name}": tensor.detach().cpu().contiguous()
        for number, factors in enumerate(stages, 1)
        for name, tensor in factors.items()
    }


def _write_backbone(model: PreTrainedModel, origin: Based, folder: Path) -> None:
    trained, words = by_stage(origin.stages), input_embeddings(model)
    if origin.tokens:
        trained["tokens"] = words.detach().cpu()[origin.tokens].contiguous()
        head = _own_head(model)
        if head is not None:
            trained["head"] = head.detach().cpu()[origin.tokens].contiguous()
    vocabulary = len(words) if origin.tokens else 0
    write(folder, origin, trained, tokens=origin.tokens, vocabulary=vocabulary)
    model.config.save_pretrained(folder)
    if model.can_generate() and model.generation_config is not None:
        model.generation_config.save_pretrained(folder)


def _is_same(model: PreTrainedModel, base: Path, folder: Path) -> bool:
    """Whether the model in `folder` is this one, in this one's dtype."""
    if is_based(base) or not origins.digest(base):  # it holds no whole model as safetensors
        return False
    try:
        again = complete(type(model).from_pretrained(base, dtype=torch.float32), folder)
    except UserError:
        return False
    wanted, there = model.state_dict(), again.state_dict()
    return wanted.keys() == there.keys() and all(
        torch.equal(there[key].to(tensor.dtype), tensor.cpu()) for key, tensor in wanted.items()
    )


@torch.no_grad()
def _set_rows(model: PreTrainedModel, record: BaseRecord, trained: dict[str, torch.Tensor]) -> None:
    if not record.tokens:
        return
    if record.vocabulary != len(input_embeddings(model)):
        model.resize_token_embeddings(record.vocabulary, mean_resizing=False)
    words, head = input_embeddings(model), _own_head(model)
    words[record.tokens] = trained["tokens"].to(words)
    if head is not None:
        head[record.tokens] = trained["head"].to(head)


def _own_head(model: PreTrainedModel) -> torch.Tensor | None:
    """The weight of the head that generates, where it is not the token embeddings."""
    head = model.get_output_embeddings()
    weight = getattr(head, "weight", None)
    return None if weight is None or weight is input_embeddings(model) else weight


def _find(base: str, revision: str | None, model: Path) -> Path:
    try:
        return origins.find(base, revision)
    except UserError as error:
        raise UserError(f"{model} was trained on {base}. {error}", error.hint) from error
