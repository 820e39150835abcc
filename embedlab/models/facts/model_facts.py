"""What a run asks of a loaded model beside its vectors: few facts, remembered, so that a warm run
need not load it.
"""

import math
from collections.abc import Callable
from typing import Any

from embedlab.errors import UserError


def _max_length(encoder: Any) -> int | None:
    length = getattr(encoder, "max_seq_length", None)
    return None if length is None or math.isinf(length) else int(length)


def cuts(encoder: Any) -> dict[str, int]:
    """What the model's `encode` cuts off its modules' output: dimensions (`truncate_dim`), or terms
    of a sparse one.
    """
    limits = {name: getattr(encoder, name, None) for name in ("truncate_dim", "max_active_dims")}
    return {name: value for name, value in limits.items() if value is not None}


def _modules(encoder: Any) -> list[str]:
    return [
        f"{type(module).__name__}{getattr(module, 'get_config_dict', dict)()}"
        for module in encoder.children()
    ]


def _attention_kernel(encoder: Any) -> str | None:
    if _runtime(encoder):  # its own affair
        return None
    from embedlab.compat.transformers_internals import attention_of

    return attention_of(getattr(encoder, "config", None)) or None


def _runtime(encoder: Any) -> str:
    """What runs the backbone, with its version; empty for torch."""
    return str(getattr(getattr(encoder, "transformers_model", None), "runtime_name", ""))


def _layers(encoder: Any) -> int | None:
    from embedlab.encoders.modules.layers import number_of_layers

    try:
        return number_of_layers(encoder)
    except (UserError, AttributeError):
        return None


def _views(encoder: Any) -> "list[Any] | str":
    from embedlab.encoders.modules.matryoshka import trained_views

    return trained_views(encoder)


def _prompts(encoder: Any) -> dict[str, str]:
    """The model's own prompts;
    the one that it uses where none is asked for goes by the empty name.
    """
    own = {key: value for key, value in (getattr(encoder, "prompts", None) or {}).items() if value}
    default = own.get(getattr(encoder, "default_prompt_name", None) or "")
    return own | ({"": default} if default else {})


# Values are plain: numbers, strings, lists, dicts.
FACTS: dict[str, Callable[[Any], Any]] = {
    "max_length": _max_length,  # tokens that it reads of a text
    "modules": _modules,  # and their settings
    "cuts": cuts,  # what `encode` cuts off their output
    "attention_kernel": _attention_kernel,  # as transformers names it
    "layers": _layers,  # of the backbone; None where single layers are not defined
    "views": _views,  # the (layer, dimension) pairs it was trained for, or "any"
    "prompts": _prompts,
}
