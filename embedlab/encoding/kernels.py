"""Copies of a model to encode with: shared weights, fewer layers, faster kernels.
The model itself is never changed.
"""

import copy
import math
import os
from collections.abc import Callable
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from torch import nn

from embedlab.compat import torch_internals
from embedlab.encoders.modules.layers import layers_of, truncate
from embedlab.resources import home

# Packed weights are held beside the model's own, so only those of smaller models are packed.
PACKED_BYTES = 2 << 30


def replica(
    model: SentenceTransformer, device: str | torch.device, depth: int | None = None
) -> SentenceTransformer:
    """A copy of `model` with modules of its own over the same weights,
    or over a copy of them on another device.

    Modules of its own let several threads run it at once, each with its hooks; they can also be
    changed at will.

    Args:
        depth: keep only so many of the backbone's layers; None keeps all.
    """
    memo: dict[int, Any] = {
        id(p): nn.Parameter(p.detach().to(device), requires_grad=False) for p in model.parameters()
    }
    memo |= {id(buffer): buffer.to(device) for buffer in model.buffers()}
    tokenizer = getattr(model, "tokenizer", None)  # texts are tokenised once, by the model itself
    twin = copy.deepcopy(model, memo | {id(tokenizer): tokenizer}).eval()
    return truncate(twin, depth) if depth else twin


def unpadding(model: SentenceTransformer) -> Any:
    """The model's module that takes texts without padding
    (variable-length attention), if there is one.
    """
    return next(
        (module for module in model.modules() if getattr(module, "can_flatten_inputs", False)), None
    )


def can_pack(model: SentenceTransformer) -> bool:
    """Whether the model's linear layers gain from weights laid out in advance:
    on a CPU that oneDNN multiplies on.
    """
    weights = [m.weight for m in model.modules() if type(m) is nn.Linear]
    dtypes = {weight.dtype for weight in weights}
    return (
        bool(weights)
        and all(weight.device.type == "cpu" for weight in weights)
        and torch.backends.mkldnn.is_available()
        and dtypes <= {torch.float32, torch.bfloat16}
        and (torch.bfloat16 not in dtypes or torch_internals.packs_bfloat16())
        and sum(weight.nbytes for weight in weights) <= PACKED_BYTES
    )


def pack(model: SentenceTransformer) -> None:
    """Lay out the weights of every linear layer once,
    and let the matrix kernel apply the bias and an exact GELU.

    A plain `nn.Linear` lays its weights out anew at every call, copies the bias, and leaves the
    GELU to a second walk through memory. Each layer is compared with its plain self; one that
    differs stays plain.
    """
    for module in list(model.modules()):
        children = list(module.children())
        if len(children) == 2 and type(children[0]) is nn.Linear and _is_exact_gelu(children[1]):
            _try(module, children[0], activation=children[1])
    for module in model.modules():
        if type(module) is nn.Linear and "forward" not in vars(module):
            _try(module, module)


def compile_layers(model: SentenceTransformer) -> None:
    """Let torch compile the backbone's layers, on the CPU with their weights frozen in;
    happens at the first batch.

    What was compiled is kept under `EMBEDLAB_HOME/compiled`, so that later runs take it from there.
    """
    default = torch_internals.compiler_cache()
    # torch fills the variable in itself when it is first imported:
    # only a folder that the user chose differs.
    if os.environ.get("TORCHINDUCTOR_CACHE_DIR", default) == default:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(home() / "compiled")
    options: dict[str, str | int | bool | Callable[..., Any]] = (
        {"freezing": True} if model.device.type == "cpu" else {}
    )
    for layer in layers_of(model):
        layer.forward = torch.compile(layer.forward, dynamic=True, options=options)


class _Packed:
    """The forward of a linear layer over its packed weights."""

    def __init__(self, linear: nn.Linear, activation: str) -> None:
        self.weight = torch_internals.packed_weight(linear.weight.detach())
        self.bias, self.activation = linear.bias, activation

    def __call__(self, states: torch.Tensor) -> torch.Tensor:
        return torch_internals.packed_linear(states, self.weight, self.bias, self.activation)

    def __deepcopy__(self, memo: dict[int, object]) -> "_Packed":
        return self  # copies of the model share packed weights as they share the others


@torch.no_grad()
def _try(module: nn.Module, linear: nn.Linear, activation: nn.Module | None = None) -> None:
    """Pack `linear`, inside `module`, and undo it where the module's output is not what it was."""
    generator = torch.Generator().manual_seed(0)
    probe = torch.randn(3, linear.in_features, generator=generator).to(linear.weight.dtype)
    name = next((name for name, child in module.named_children() if child is activation), "")
    try:
        expected = module(probe)
        vars(linear)["forward"] = _Packed(linear, "gelu" if activation is not None else "none")
        if name:
            setattr(module, name, nn.Identity())
        actual = module(probe)
    except (RuntimeError, TypeError, NotImplementedError):
        actual = None
    tolerance = 1e-5 if linear.weight.dtype == torch.float32 else 2e-2
    if actual is None or not _close(actual, expected, tolerance):
        linear.__dict__.pop("forward", None)
        if name:
            setattr(module, name, activation)


def _close(actual: torch.Tensor, expected: torch.Tensor, tolerance: float) -> bool:
    spread = float(expected.std())
    if not math.isfinite(spread):  # so are the weights: encoding will say so
        return False
    return torch.allclose(actual, expected, rtol=tolerance, atol=tolerance * spread)


def _is_exact_gelu(module: nn.Module) -> bool:
    if type(module) is nn.GELU:
        return module.approximate == "none"
    return type(module).__name__ == "GELUActivation"
