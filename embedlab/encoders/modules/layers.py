"""Layers and dimensions as views of one forward pass.

The embedding "after layer n" is what the model gives when its backbone is cut after n layers.
BERT-like encoders normalise inside every layer, so that is the state after layer n itself. Pre-norm
models (decoders, ModernBERT, T5) keep their final norm when cut, so it is the final norm of that
state.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from torch import nn
from transformers import PreTrainedConfig

from embedlab.errors import UserError

Vectors = TypeVar("Vectors", np.ndarray, torch.Tensor)

_STACKS = ("layer", "layers", "block", "h")  # what backbones call their list of layers
# Beside the list, in pre-norm models.
_FINAL_NORMS = ("norm", "final_norm", "final_layer_norm", "ln_f")


class _Backbone(NamedTuple):
    config: PreTrainedConfig
    owner: nn.Module  # the module that holds the list of layers
    attribute: str  # the list's name in `owner`
    layers: nn.ModuleList
    norm: nn.Module
    position: int  # of the sentence-transformers module that runs the backbone


def number_of_layers(model: SentenceTransformer) -> int:
    """How many layers the model's backbone has.

    Raises:
        UserError: the model has no single list of layers.
    """
    return len(layers_of(model))


def dimensions_of(model: SentenceTransformer) -> int:
    """The width of the model's embeddings.

    Raises:
        UserError: none of its modules says it.
    """
    width = model.get_embedding_dimension()
    if width is None:
        raise UserError(
            "No module of this model says how wide its embeddings are.",
            "Its last module with a width needs get_embedding_dimension().",
        )
    return width


def layers_of(model: SentenceTransformer) -> nn.ModuleList:
    """The list of layers of the model's backbone.

    Raises:
        UserError: the model has no single list of layers.
    """
    return _backbone(model).layers


def layer_outputs(
    model: SentenceTransformer,
    features: dict[str, Any],
    layers: Sequence[int],
    *,
    after_backbone: Callable[[], None] | None = None,
) -> torch.Tensor:
    """The sentence embeddings of the model cut after each of `layers`, from one forward pass.

    Args:
        model: any SentenceTransformer whose backbone's last state is what its pooling reads.
        features: what `model.preprocess` returned, on the model's device; left as it was.
        layers: layer numbers, from 1 (the first) to `number_of_layers(model)`; in any order.
        after_backbone: called when the backbone has run, before anything is pooled.

    Returns:
        `[len(layers), batch, dim]`, each slice equal to `truncate(model, n)`'s own output.

    Raises:
        UserError: a layer the model does not have, or a model for which layers are not defined.
    """
    backbone = _backbone(model)
    _check(layers, len(backbone.layers))
    modules = list(model)
    states: dict[int, torch.Tensor] = {}
    with ExitStack() as hooks:
        for n in {*layers, len(backbone.layers)}:
            hooks.enter_context(backbone.layers[n - 1].register_forward_hook(_keep(states, n)))
        features = dict(features)
        for module in modules[: backbone.position + 1]:
            features = module(features)

    if "all_layer_embeddings" in features:
        raise _undefined("its pooling reads several layers")
    if not torch.equal(
        backbone.norm(states[len(backbone.layers)]),
        features.get("token_embeddings", torch.empty(0)),
    ):
        raise _undefined("it changes the states after its last layer")
    if after_backbone:
        after_backbone()
    return torch.stack(
        [
            _pool(modules[backbone.position + 1 :], features, backbone.norm(states[n]))
            for n in layers
        ]
    )


def truncate(model: SentenceTransformer, n: int) -> SentenceTransformer:
    """Drop every layer after the n-th from `model` itself,
    so that only n layers run; returns the model.

    Raises:
        UserError: the model has no layer `n`, or no single list of layers.
    """
    backbone = _backbone(model)
    _check([n], len(backbone.layers))
    setattr(backbone.owner, backbone.attribute, backbone.layers[:n])
    backbone.config.num_hidden_layers = n
    if getattr(backbone.config, "layer_types", None):
        backbone.config.layer_types = list(backbone.config.layer_types)[:n]
    return model


def slice_and_normalise(vectors: Vectors, dim: int, normalise: bool) -> Vectors:
    """The first `dim` dimensions of `vectors`
    (array or tensor `[..., d]`), then L2-normalised if asked.

    The order matters: Matryoshka losses slice first and normalise the slice.

    Raises:
        UserError: the vectors have fewer than `dim` dimensions.
    """
    width = vectors.shape[-1]
    if not 1 <= dim <= width:
        raise UserError(f"The model has no {dim} dimensions.", f"Valid are 1 to {width}.")
    vectors = vectors[..., :dim]
    if normalise:
        length = (vectors**2).sum(-1)[..., None] ** 0.5
        vectors = vectors / length.clip(1e-12)
    return vectors


def _backbone(model: SentenceTransformer) -> _Backbone:
    transformer = model.transformers_model
    if transformer is None:
        raise _undefined("it has no transformers backbone")
    asking = [getattr(module, "forward_kwargs", ()) for module in model] + [
        *(model.module_kwargs or {}).values()
    ]
    if any(asking):
        raise _undefined("its modules ask for the role of a text")
    config = transformer.config.get_text_config()
    # The outermost list counts: a T5 layer is itself a short list.
    owner, name = next(
        (
            (owner, name)
            for owner in transformer.modules()
            for name in _STACKS
            if isinstance(getattr(owner, name, None), nn.ModuleList)
            and len(getattr(owner, name)) == getattr(config, "num_hidden_layers", 0)
        ),
        (None, ""),
    )
    if owner is None:
        raise _undefined(f"its backbone {type(transformer).__name__} has no list of layers")
    norm = next(
        (getattr(owner, norm) for norm in _FINAL_NORMS if hasattr(owner, norm)), nn.Identity()
    )
    position = next(
        i for i, module in enumerate(model) if any(part is transformer for part in module.modules())
    )
    return _Backbone(config, owner, name, getattr(owner, name), norm, position)


def _keep(
    states: dict[int, torch.Tensor], n: int
) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
    def hook(_layer: nn.Module, _inputs: tuple[Any, ...], output: Any) -> None:
        states[n] = output[0] if isinstance(output, tuple) else output

    return hook


def _pool(modules: list[nn.Module], features: dict[str, Any], states: torch.Tensor) -> torch.Tensor:
    if not any(True for module in modules for _ in module.parameters()):
        # As the evaluation's own pass does: pooling without weights runs in float32.
        states = states.float()
    features = {**features, "token_embeddings": states}
    for module in modules:
        features = module(features)
    embedding: torch.Tensor = features["sentence_embedding"]
    return embedding


def _check(layers: Sequence[int], depth: int) -> None:
    if wrong := [n for n in layers if not 1 <= n <= depth]:
        raise UserError(f"The model has no layer {wrong[0]}.", f"Valid are 1 to {depth}.")


def _undefined(why: str) -> UserError:
    return UserError(
        f"Views of single layers are not defined for this model: {why}.",
        "Use its full depth: no --layers.",
    )
