"""Attention over texts that stand end to end (torch's variable-length FlashAttention) beside padded
batches: the rate, and whether the vectors are the same.

transformers takes it as an attention of its own name; embedlab then runs batches without padding,
as it does for FlashAttention's package.
"""

from typing import Any

import numpy as np
import torch

from embedlab.encoding.encoder import Encoder
from tests.bench.gpu import encode, texts
from tests.bench.gpu.figures import Figures
from tests.bench.gpu.models import build
from tests.bench.gpu.worker import Place

NAME = "torch_varlen"
used: set[str] = set()  # attention that texts end to end went through
LENGTHS = (("64", 64, False), ("16 to 512", 512, True))


def run(figures: Figures, place: Place) -> None:
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, attention)
    for name in ("0.6B decoder", "MiniLM"):
        loaded = build(name, place.device, torch.bfloat16, place.scratch, tiny=place.tiny)
        padded = Encoder(loaded)
        rows = texts.mixed(512, 64)
        expected = vectors(padded, rows)
        rates = {}
        for kind in ("padded", "unpadded"):
            if kind == "unpadded":
                module: Any = loaded.encoder[0]
                module.model.set_attn_implementation(NAME)
                module.can_flatten_inputs, module._flatten_position_offset = True, 0
            encoder = Encoder(loaded)
            found = vectors(encoder, rows)
            if kind == "unpadded":
                figures.add(
                    f"{name}, least cosine to padded", float((expected * found).sum(1).min())
                )
                if NAME not in used:
                    raise RuntimeError("the texts went through padded")
            encode.warm_up(encoder)
            for label, length, mixed in LENGTHS:
                rates[kind, label] = encode.encoding(
                    figures, place, f"{name}, {label} tokens, {kind}", encoder, name, length,
                    mixed=mixed, seconds=1,
                )  # fmt: skip
        for label, _, _ in LENGTHS:
            figures.add(f"{name}, {label} tokens, unpadded / padded",
                        rates["unpadded", label] / rates["padded", label], "x")  # fmt: skip


def vectors(encoder: Encoder, rows: list[str]) -> np.ndarray:
    """Vectors by no way but this encoder's own: nothing stored is taken."""
    import os
    import tempfile

    before = os.environ["EMBEDLAB_HOME"]
    with tempfile.TemporaryDirectory() as home:
        os.environ["EMBEDLAB_HOME"] = home
        try:
            return np.array(encoder.encode(rows, role="document")[0][None].read())
        finally:
            os.environ["EMBEDLAB_HOME"] = before


def attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    cu_seq_lens_q: torch.Tensor | None = None,
    max_length_q: int = 0,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Queries, keys and values `[1, heads, T, d]` of texts end to end; `[1, T, heads, d]`."""
    from torch.nn.attention.varlen import varlen_attn

    causal = bool(getattr(module, "is_causal", False))
    if cu_seq_lens_q is None:  # a padded batch, such as the probe of `padding_shows`
        return _padded(query, key, value, attention_mask, scaling, causal), None
    used.add(NAME)
    rows = [states[0].transpose(0, 1).contiguous() for states in (query, key, value)]
    if query.device.type == "cpu":
        return _one_by_one(rows, cu_seq_lens_q, scaling, causal)[None], None
    groups = rows[0].shape[1] // rows[1].shape[1]
    if groups > 1:
        rows[1:] = [states.repeat_interleave(groups, dim=1) for states in rows[1:]]
    out = varlen_attn(
        *rows, cu_seq_lens_q, cu_seq_lens_q, max_length_q, max_length_q, scale=scaling,
        window_size=(-1, 0) if causal else (-1, -1),
    )  # fmt: skip
    return out[None], None


def _padded(query, key, value, mask, scaling, causal) -> torch.Tensor:
    """As transformers' own attention has it, for a mask of one number per token."""
    length = query.shape[2]
    allowed = torch.ones(length, length, dtype=torch.bool, device=query.device)
    allowed = (allowed.tril() if causal else allowed)[None, None]
    if mask is not None:
        allowed = allowed & (mask[:, None, None, :].bool() if mask.ndim == 2 else mask.bool())
        allowed = allowed | torch.eye(length, dtype=torch.bool, device=query.device)
    out = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=allowed, scale=scaling, enable_gqa=True
    )
    return out.transpose(1, 2)


def _one_by_one(rows: list[torch.Tensor], starts, scaling, causal) -> torch.Tensor:
    """The same text by text, where there is no such kernel."""
    parts = []
    for start, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        query, key, value = (states[start:end].transpose(0, 1)[None] for states in rows)
        out = torch.nn.functional.scaled_dot_product_attention(
            query, key, value, is_causal=causal, scale=scaling, enable_gqa=True
        )
        parts.append(out[0].transpose(0, 1))
    return torch.cat(parts)
