"""Reading published checkpoints:
every missing or misshapen key is named, nothing is quietly initialised.
"""

import json
import re
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import safe_open
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from embedlab.bases import folders
from embedlab.encoders.modules import attention as attentions
from embedlab.encoders.modules import based
from embedlab.encoders.modules.tokenizers import as_published
from embedlab.errors import UserError

_NUMBER = re.compile(r"(?<=\.)\d+(?=\.)")  # of a layer


def local(source: str | Path, revision: str | None = None) -> Path:
    """The local folder of `source`: a folder, a hub id, or a base (`embedlab.bases`)."""
    return folders.folder(source, revision)


def read_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer in `folder`, as its tokenizer.json has it.

    Raises:
        UserError: it holds a SentencePiece model without tokenizer.json, from which transformers 5
            builds a tokenizer that loses the mark of the leading space.
    """
    if (folder / "tokenizer.model").exists() and not (folder / "tokenizer.json").exists():
        raise UserError(
            f"The folder {folder} has tokenizer.model but no tokenizer.json.",
            "Put the tokenizer.json of the base model beside it.",
        )
    return as_published(AutoTokenizer.from_pretrained(folder), folder)


def read_backbone(
    folder: Path,
    attention: attentions.Attention,
    *,
    dtype: torch.dtype | None = None,
    language_model: bool = False,
) -> PreTrainedModel:
    """The transformer in `folder`, with its attention set.

    Args:
        language_model: with the head that generates.

    Raises:
        UserError: keys are missing or misshapen, or the attention does not fit the model.
    """
    source = based.base_folder(folder) if based.is_based(folder) else folder
    if source != folder and based.is_based(source):
        raise UserError(
            f"The base of {folder} stands on a base itself: {source}.",
            "Train on a whole model, or on one of a package.",
        )
    config = attentions.configure(AutoConfig.from_pretrained(source), attention)
    # With `output_loading_info` it gives a pair, which its annotations leave out.
    loaded: Any = (AutoModelForCausalLM if language_model else AutoModel).from_pretrained(
        source,
        config=config,
        dtype=torch.float32 if source != folder else dtype or torch.float32,
        output_loading_info=True,
        ignore_mismatched_sizes=True,
    )
    model: PreTrainedModel
    model, report = loaded
    missing = [key for key in report["missing_keys"] if not key.startswith("pooler.")]
    misshapen = {key: (found, wanted) for key, found, wanted in report["mismatched_keys"]}
    _complain(source, missing, misshapen)
    attentions.apply(model, attention)
    if source != folder:
        based.complete(model, folder, dtype)
    return model


def without_head(model: PreTrainedModel) -> PreTrainedModel:
    """The transformer inside a model with a head, or the model itself where it has none."""
    return cast(PreTrainedModel, model.base_model)  # annotated as any module


def read_layout(
    folder: Path, wanted: dict[str, torch.Size], dtype: torch.dtype | None = None
) -> dict[str, torch.Tensor]:
    """The tensors `wanted` (key -> shape) from the safetensors in `folder`, sharded or not.

    Raises:
        UserError: no safetensors, keys are missing or misshapen, or there are more layers than
            wanted: one error that names each.
    """
    files = _files(folder)
    shapes, tensors = {}, {}
    for file in sorted({files[key] for key in wanted if key in files}):
        with safe_open(file, framework="pt") as shard:
            for key in (key for key in wanted if files.get(key) == file):
                shapes[key] = shard.get_slice(key).get_shape()
                tensors[key] = shard.get_tensor(key).to(dtype or torch.float32)
    refuse(folder, wanted, shapes)
    layers = {_NUMBER.sub("*", key) for key in wanted}
    if deeper := [key for key in files if key not in wanted and _NUMBER.sub("*", key) in layers]:
        raise UserError(
            f"The checkpoint {folder} has layers that its config.json does not; unexpected:"
            f" {', '.join(deeper[:6])}"
            + (f" and {len(deeper) - 6} more." if len(deeper) > 6 else "."),
            "Check config.json, or get the model again.",
        )
    return tensors


def _files(folder: Path) -> dict[str, Path]:
    """Key -> the file that holds it."""
    index = folder / "model.safetensors.index.json"
    if index.exists():
        return {
            key: folder / name for key, name in json.loads(index.read_text())["weight_map"].items()
        }
    file = folder / "model.safetensors"
    if not file.exists():
        raise UserError(
            f"The folder {folder} holds no model.safetensors.", "Download the model again."
        )
    with safe_open(file, framework="pt") as opened:
        return dict.fromkeys(opened.keys(), file)


def refuse(where: Path, wanted: dict[str, Any], found: dict[str, Any]) -> None:
    """Compare the shapes `wanted` and `found`, both by key; keys that nobody wants may be there.

    Raises:
        UserError: keys are missing or misshapen: one error that names each.
    """
    misshapen = {
        key: (found[key], shape)
        for key, shape in wanted.items()
        if key in found and list(found[key]) != list(shape)
    }
    _complain(where, [key for key in wanted if key not in found], misshapen)


def _complain(where: Path, missing: list[str], misshapen: dict[str, tuple[Any, Any]]) -> None:
    problems = []
    if missing:
        problems.append(f"missing: {', '.join(sorted(missing))}")
    if misshapen:
        named = (
            f"{key} {list(found)} instead of {list(shape)}"
            for key, (found, shape) in sorted(misshapen.items())
        )
        problems.append(f"misshapen: {', '.join(named)}")
    if problems:
        raise UserError(
            f"The checkpoint {where} does not fit the model; {'; '.join(problems)}.",
            "Download it again, or check that it is of this method.",
        )
