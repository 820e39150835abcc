"""Low-rank adapters in training (LoRA, arXiv:2106.09685): put on a model's backbones, and taken off
again as what is kept of them.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from sentence_transformers.base.modules import Transformer
from torch import nn
from transformers import PreTrainedModel

from embedlab.bases import origins
from embedlab.encoders.causal2vec import Causal2Vec
from embedlab.encoders.modules import based
from embedlab.encoders.modules.splade import LexicalHead
from embedlab.encoders.modules.tokenizers import input_embeddings
from embedlab.encoders.plain import BasedTransformer
from embedlab.errors import UserError, missing_extra
from embedlab.training.recipe import Lora, Recipe
from embedlab.training.untrained import Model

ADAPTERS = "adapters.safetensors"  # in a stage's folder: what the stages have trained so far


def stand_on_base(model: Model, recipe: Recipe, base: str | Path) -> None:
    """Note which bases a model stands on, so that it is saved as what was trained on them.

    Only where every stage leaves the bases' own weights alone, and they have a name.

    Raises:
        UserError: the encoder of a Causal2Vec is to train by LoRA in stages without.
    """
    first, with_lora = model[0], all(stage.lora for stage in recipe.stages)
    if isinstance(first, Causal2Vec) and first.train_context != "whole":
        if first.train_context == "lora" and not with_lora:
            raise UserError(
                'train_context = "lora" needs lora in every stage of the recipe.',
                'Add lora = { rank = 16 } to [[stages]], or give "whole" or "frozen".',
            )
        if first.train_context == "frozen":
            first.encoder.requires_grad_(False)
        _note(first.encoder, recipe.settings["context_encoder"])
    if not isinstance(recipe.base, str) or not with_lora:
        return
    if type(first) is Transformer:
        first.__class__ = BasedTransformer  # it saves itself so, and is the same otherwise
    if isinstance(first, Causal2Vec):
        _note(first.decoder.model, base)
    elif model.transformers_model is not None:
        _note(model.transformers_model, base)
    for head in model.modules():
        if isinstance(head, LexicalHead):
            name, revision = origins.named(base)
            head.origin = based.Based(name, revision)


def _note(backbone: PreTrainedModel, base: str | Path) -> None:
    origin = based.of(backbone)
    origin.base, origin.revision = origins.named(base)


class Adapters:
    """The adapters of one stage, on a model.

    Raises:
        UserError: peft is missing, or the method has no backbone.
    """

    def __init__(self, model: Model, lora: Lora):
        try:
            from peft import LoraConfig, get_peft_model
        except ImportError:
            raise missing_extra("LoRA", "train") from None
        self.backbones = _backbones(model)
        self.adapted: list[Any] = []
        for backbone in self.backbones:
            tokens = based.of(backbone).tokens
            config = LoraConfig(
                r=lora.rank,
                lora_alpha=lora.alpha,
                lora_dropout=lora.dropout,
                target_modules=lora.targets,
                trainable_token_indices={_words(backbone): tokens} if tokens else None,
            )
            self.adapted.append(get_peft_model(backbone, config))
        self.still = [m.linear.weight for m in model.modules() if isinstance(m, LexicalHead)]
        for weight in self.still:
            weight.requires_grad_(False)

    def merge(self, dtype: torch.dtype) -> None:
        """Take the adapters off, and add what they learned to the weights.

        Args:
            dtype: to which the factors are rounded first, as they are saved.
        """
        for backbone, adapted in zip(self.backbones, self.adapted, strict=True):
            factors = _factors(backbone, dtype)
            if factors is None:  # of layers that are not linear
                based.of(backbone).base = ""
                adapted.merge_and_unload()
                continue
            rows = _rows(backbone)
            adapted.unload()
            based.merge(backbone, factors)
            based.of(backbone).stages.append(factors)
            if rows is not None:
                with torch.no_grad():
                    input_embeddings(backbone)[based.of(backbone).tokens] = rows
            backbone.requires_grad_(True)
        for weight in self.still:
            weight.requires_grad_(True)


def keep(model: Model, folder: Path) -> None:
    """Write the factors of all stages so far into a stage's folder."""
    found = {
        f"{number}.{key}": tensor
        for number, backbone in enumerate(_all(model))
        for key, tensor in based.by_stage(based.of(backbone).stages).items()
    }
    save_file(found, folder / ADAPTERS)


def recall(model: Model, folder: Path) -> None:
    """Take up the factors that `keep` wrote, which the weights have in them already."""
    file = folder / ADAPTERS
    found = load_file(file) if file.is_file() else {}
    for number, backbone in enumerate(_all(model)):
        mine = f"{number}."
        own = {key.removeprefix(mine): t for key, t in found.items() if key.startswith(mine)}
        based.of(backbone).stages = based.stages_of(own)


def _all(model: Model) -> list[PreTrainedModel]:
    first = model[0]
    if isinstance(first, Causal2Vec):
        return [first.decoder.model, first.encoder]
    return [model.transformers_model] if model.transformers_model is not None else []


def _backbones(model: Model) -> list[PreTrainedModel]:
    """The transformers that get adapters."""
    found, first = _all(model), model[0]
    if not found:
        raise UserError(
            "This method has no single backbone for LoRA.", "Leave lora out of the stage."
        )
    if isinstance(first, Causal2Vec) and first.train_context != "lora":
        return found[:1]
    return found


def _words(backbone: PreTrainedModel) -> str:
    """The name of the module with the token embeddings, as peft finds it."""
    words = backbone.get_input_embeddings()
    return next(str(name) for name, module in backbone.named_modules() if module is words)


def _factors(backbone: PreTrainedModel, dtype: torch.dtype) -> based.Factors | None:
    """What LoRA learned, by layer of the transformer inside; None where a layer has another form
    than two factors.
    """
    from peft.tuners.lora import LoraLayer

    found: based.Factors = {}
    within = set(map(id, based.inner(backbone).modules()))
    for name, layer in based.inner(backbone).named_modules():
        if isinstance(layer, LoraLayer):
            pair = [dict(each).get("default") for each in (layer.lora_A, layer.lora_B)]
            first, second = (one.weight if isinstance(one, nn.Linear) else None for one in pair)
            if first is None or second is None:
                return None
            found[f"{name}.A"] = first.detach().cpu().to(dtype)
            scaling: float = layer.scaling["default"]
            found[f"{name}.B"] = (second.detach().cpu() * scaling).to(dtype)
    outside = (module for module in backbone.modules() if id(module) not in within)
    return None if any(isinstance(module, LoraLayer) for module in outside) else found


def _rows(backbone: PreTrainedModel) -> torch.Tensor | None:
    """The trained embeddings of added tokens."""
    from peft.tuners.trainable_tokens import TrainableTokensLayer

    for layer in backbone.modules():
        if isinstance(layer, TrainableTokensLayer) and not layer.tied_adapter:
            rows: torch.Tensor = layer.trainable_tokens_delta["default"]
            return rows.detach().clone()
    return None
