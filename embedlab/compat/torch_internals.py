"""Private API of torch, read in torch 2.13:
oneDNN's packed weights, the compiler's cache, hooks.
"""

import torch
from torch import nn


def packs_bfloat16() -> bool:
    """Whether oneDNN multiplies bfloat16 here (`torch.ops.mkldnn._is_mkldnn_bf16_supported`)."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def packed_weight(weight: torch.Tensor) -> torch.Tensor:
    """A linear layer's weight `[out, in]` as oneDNN lays it out
    (`torch.ops.mkldnn._reorder_linear_weight`).
    """
    packed: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, None)
    return packed


def packed_linear(
    states: torch.Tensor, packed: torch.Tensor, bias: torch.Tensor | None, activation: str
) -> torch.Tensor:
    """A linear layer over a packed weight (`torch.ops.mkldnn._linear_pointwise`).

    Args:
        states: `[..., in]`.
        packed: of `packed_weight`.
        bias: `[out]`.
        activation: "none", or "gelu" for the exact GELU on what comes out.

    Returns:
        `[..., out]`.
    """
    kind = "none" if activation == "gelu" else ""
    out: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
        states, packed, bias, activation, [], kind
    )
    return out


def compiler_cache() -> str:
    """The folder where the compiler keeps its work by default
    (`torch._inductor.runtime.cache_dir_utils`).
    """
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir

    return str(default_cache_dir())


def has_hooks(module: nn.Module) -> bool:
    """Whether somebody has hooked the module's forward
    (`nn.Module._forward_hooks`, `_forward_pre_hooks`).
    """
    return bool(module._forward_hooks or module._forward_pre_hooks)
