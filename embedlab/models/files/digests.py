"""Digests of files, texts and loaded models, which say whether they still are the same."""

import hashlib
import pickle
from typing import Any

from embedlab.bases.packaged import sha256 as sha256


def of_text(text: str) -> str:
    """The first 16 digits of a text's sha256."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def of_loaded(encoder: Any) -> str:
    """The digest of a loaded model: parameters, buffers, settings,
    tokenizers, and what plain values modules keep.
    """
    import torch
    from xxhash import xxh3_128

    from embedlab.bases.safetensors_files import tensor_bytes

    digest = xxh3_128()

    def add(name: str, content: Any) -> None:
        digest.update(f"\n{name}:".encode())
        digest.update(content)

    for name, tensor in sorted(
        {**dict(encoder.named_parameters()), **dict(encoder.named_buffers())}.items()
    ):
        add(f"{name} {tensor.dtype} {tuple(tensor.shape)}", tensor_bytes(tensor))
    for name, module in encoder.named_modules():
        add(name, f"{type(module).__module__}.{type(module).__qualname__}".encode())
        for key, value in sorted(vars(module).items()):
            if (
                isinstance(value, torch.nn.Module)
                or key.startswith("_")
                or key in ("model_card_data", "training")
            ):
                continue
            add(f"{name}.{key}", _content(value))
    return digest.hexdigest()


def _content(value: Any) -> bytes:
    """A value's content; a changed address in memory is no change."""
    if hasattr(value, "backend_tokenizer"):  # a fast tokenizer: all it knows
        return str(value.backend_tokenizer.to_str()).encode()
    if hasattr(value, "to_json_string"):  # a transformers configuration
        return str(value.to_json_string()).encode()
    try:
        return pickle.dumps(value)
    except Exception:  # functions and the like, which are code
        return type(value).__qualname__.encode()
