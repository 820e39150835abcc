"""Who sees whom in a decoder backbone: set explicitly, and measured at load.

transformers changed the meaning of `config.is_causal` between versions, keeps a sliding window that
is easily overlooked, and leaves the choice to the kernel where no token is padded. None of these
raises; the scores just drop. So every load measures what each layer does.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

from embedlab.compat.transformers_internals import attention_of
from embedlab.errors import UserError

KINDS = ("causal", "bidirectional")

# One kind for all layers, or one per layer.
Attention = str | list[str]
# (input_ids `[B, L]`, attention_mask `[B, L]`): runs the backbone as the method does.
Forward = Callable[[torch.Tensor, torch.Tensor], None]


def configure(config: PretrainedConfig, attention: Attention) -> PretrainedConfig:
    """Put `attention` into a configuration, before the model is built from it.

    Bidirectional attention is unlimited: a sliding window would silently cut it to the
    neighbourhood of each token.

    Raises:
        UserError: an unknown kind, or a list that does not fit the number of layers.
    """
    kinds = per_layer(attention, config.num_hidden_layers)
    config.is_causal = "bidirectional" not in kinds
    if config.is_causal:
        return config
    types = getattr(config, "layer_types", None)
    if types and not {*types} <= {"full_attention", "sliding_attention", "chunked_attention"}:
        raise UserError(
            f"A model of type {config.model_type} has layers without attention, in which no token"
            " can see a later one.",
            "Take a form that is causal, such as mean, last or echo.",
        )
    # A model of both sorts of layers makes both masks, whoever uses them, and needs a width.
    width = config.max_position_embeddings if "sliding_attention" in (types or ()) else None
    for name, value in {"sliding_window": width, "use_sliding_window": False}.items():
        if hasattr(config, name):
            setattr(config, name, value)
    if types:
        config.layer_types = ["full_attention"] * config.num_hidden_layers
    return config


def apply(model: PreTrainedModel, attention: Attention) -> None:
    """Give each layer of `model`, built from a configuration of `configure`, its attention."""
    layers = layers_of(model)
    kinds = per_layer(attention, len(layers))
    for layer, kind in zip(layers, kinds, strict=True):
        for module in layer.modules():
            if hasattr(module, "is_causal"):
                setattr(module, "is_causal", kind == "causal")  # noqa: B010  # no tensor, as torch has it
        if len(set(kinds)) > 1:
            layer.register_forward_pre_hook(_ChooseMask(kind), with_kwargs=True)


def layer_masks(attention_mask: torch.Tensor) -> dict[str, torch.Tensor]:
    """Both masks for a model whose layers differ: the keyword `layer_masks` of its forward.

    Args:
        attention_mask: `[B, L]`, 1 for tokens and 0 for padding.

    Returns:
        bool `[B, 1, L, L]` for each kind; True where the row's token sees the column's.
    """
    length = attention_mask.shape[1]
    seen = attention_mask.bool()[:, None, None, :].expand(-1, 1, length, length)
    triangle = torch.ones(length, length, dtype=torch.bool, device=attention_mask.device).tril()
    # Padded rows see themselves: a row that sees nothing turns into NaN.
    itself = torch.eye(length, dtype=torch.bool, device=attention_mask.device)
    return {"bidirectional": seen | itself, "causal": (seen & triangle) | itself}


class _ChooseMask:
    """Replaces the mask that a layer is given by its own, from the keyword `layer_masks`."""

    def __init__(self, kind: str):
        self.kind = kind

    def __call__(
        self, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        mask = kwargs.pop("layer_masks")[self.kind]
        if _adds_its_mask(layer):
            mask = torch.zeros_like(mask, dtype=args[0].dtype).masked_fill(
                ~mask, torch.finfo(args[0].dtype).min
            )
        return args, kwargs | {"attention_mask": mask}


def _adds_its_mask(layer: nn.Module) -> bool:
    """Eager attention adds its mask to the scores; the fused kernels take True and False."""
    configs = (getattr(module, "config", None) for module in layer.modules())
    return any(attention_of(config) == "eager" for config in configs)


def per_layer(attention: Attention, layers: int) -> list[str]:
    """`attention` as one kind per layer.

    Raises:
        UserError: an unknown kind, or a list of another length.
    """
    kinds = [attention] * layers if isinstance(attention, str) else list(attention)
    if unknown := set(kinds) - set(KINDS):
        raise UserError(
            f"Unknown attention {', '.join(sorted(map(repr, unknown)))}.",
            f"Valid: {', '.join(KINDS)}.",
        )
    if len(kinds) != layers:
        raise UserError(
            f"The attention names {len(kinds)} layers, the model has {layers}.",
            "Name one kind per layer.",
        )
    return kinds


def layers_of(model: nn.Module) -> nn.ModuleList:
    """The stack of layers of a transformer: its longest list of modules."""
    return max((module for module in model.modules() if isinstance(module, nn.ModuleList)), key=len)


@torch.no_grad()
def measure(model: PreTrainedModel, forward: Forward) -> list[str]:
    """What each layer really does.

    Within one pass, each layer is run a second time on an input that differs at the last position
    alone; the layer is bidirectional if its output at the first position changes.

    Args:
        model: the backbone.
        forward: see `Forward`.

    Returns:
        one of `KINDS` per layer, or "depends on padding".
    """
    found: list[set[str]] = []

    def look(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        changed = args[0].clone()
        # Layer norms are odd functions, so this passes through each of them.
        changed[:, -1] = -changed[:, -1]
        again = layer.forward(changed, *args[1:], **kwargs)
        before, after = (out[0] if isinstance(out, tuple) else out for out in (output, again))
        found.append(
            {
                "bidirectional" if _moved(b, a) else "causal"
                for b, a in zip(before, after, strict=True)
            }
        )

    was_training = model.training
    model.eval()
    hooks = [layer.register_forward_hook(look, with_kwargs=True) for layer in layers_of(model)]
    try:
        ids = torch.randint(
            3, model.config.vocab_size, (2, 12), generator=torch.Generator().manual_seed(0)
        )
        ids = ids.to(model.device)
        # With and without padding: kernels take another path where nothing is padded.
        for mask in (
            torch.ones_like(ids),
            torch.ones_like(ids).index_fill_(1, torch.tensor([5]).to(ids.device), 0),
        ):
            forward(ids, mask)
    finally:
        for hook in hooks:
            hook.remove()
        model.train(was_training)
    layers = len(found) // 2
    kinds = [found[i] | found[i + layers] for i in range(layers)]
    return [kind.pop() if len(kind) == 1 else "depends on padding" for kind in kinds]


def _moved(before: torch.Tensor, after: torch.Tensor) -> bool:
    """Whether the state at the first position `[L, d]` differs by more than rounding."""
    difference = (before[0] - after[0]).float().norm()
    return bool(difference > 1e-6 * before[0].float().norm())


def check(model: PreTrainedModel, forward: Forward, attention: Attention, name: str) -> None:
    """Measure the attention of a loaded model against what was asked.

    Raises:
        UserError: they differ; names the model and both.
    """
    asked = per_layer(attention, len(layers_of(model)))
    found = measure(model, forward)
    if found != asked:
        raise UserError(
            f"The attention of {name} is {_words(found)}, but {_words(asked)} was asked.",
            f"{type(model).__name__} does not follow the setting `attention`; its scores would be"
            f" wrong. Type attention={_words(found)!r} if that is what you want.",
        )


def _words(kinds: list[str]) -> str:
    return kinds[0] if len(set(kinds)) == 1 else ", ".join(kinds)
