"""Pooling over the positions that a template marks,
where the attention mask is not the whole story.
"""

from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F

from embedlab.encoders.modules.saved import Features, FromFolder
from embedlab.errors import unknown

MODES = ("mean", "concatenate")


class MarkedPooling(FromFolder):
    """Pools token_embeddings `[B, L, d]` where pooling_mask is 1.

    Args:
        embedding_dimension: d.
        mode: "mean" gives `[B, d]`; "concatenate" joins the k marked states to `[B, k * d]`.
        tokens: k, the number of marked positions per text, for "concatenate".
        order: in which order "concatenate" joins them; None keeps that of the text.
        normalize_parts: "concatenate" first scales each state to unit length.

    Raises:
        UserError: an unknown mode.
    """

    config_keys = ["embedding_dimension", "mode", "tokens", "order", "normalize_parts"]  # noqa: RUF012

    def __init__(
        self,
        embedding_dimension: int,
        mode: str = "mean",
        tokens: int = 1,
        order: list[int] | None = None,
        normalize_parts: bool = False,
    ):
        super().__init__()
        if mode not in MODES:
            raise unknown("pooling", mode, MODES, f"Valid: {', '.join(MODES)}.")
        self.embedding_dimension = embedding_dimension
        self.mode = mode
        self.tokens = tokens
        self.order = order
        self.normalize_parts = normalize_parts

    def forward(self, features: Features, **kwargs: Any) -> Features:
        states, mask = features["token_embeddings"], features["pooling_mask"]
        if self.mode == "mean":
            features["sentence_embedding"] = masked_mean(states, mask)
        else:
            parts = states[mask.bool()].view(len(states), self.tokens, -1)
            if self.normalize_parts:
                parts = F.normalize(parts, dim=-1)
            if self.order:
                parts = parts[:, self.order]
            features["sentence_embedding"] = parts.flatten(1)
        return features

    def get_embedding_dimension(self) -> int:
        return self.embedding_dimension * (self.tokens if self.mode == "concatenate" else 1)

    def save(
        self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any
    ) -> None:
        self.save_config(output_path)


class TrainedPooling(FromFolder):
    """A pooling with weights of its own, kept as model.safetensors beside its configuration."""

    def save(
        self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any
    ) -> None:
        self.save_config(output_path)
        self.save_torch_weights(output_path, safe_serialization)

    @classmethod
    def from_folder(cls, folder: Path, *, model_kwargs: dict[str, Any]) -> Self:
        module = super().from_folder(folder, model_kwargs=model_kwargs)
        cls.load_torch_weights(str(folder), model=module)
        return module


def masked_mean(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean of `[B, L, d]` over the positions where mask `[B, L]` is 1;
    summed in float32, `[B, d]` in their dtype.
    """
    mask = mask[..., None].float()
    return ((states.float() * mask).sum(1) / mask.sum(1).clamp(min=1)).to(states.dtype)
