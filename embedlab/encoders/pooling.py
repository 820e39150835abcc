"""Pooling over the positions that a template marks, where the attention mask is not the whole story."""

import torch
from sentence_transformers.base.modules import Module

from embedlab.encoders import register  # noqa: F401 - saved models load by SentenceTransformer(path)
from embedlab.errors import unknown

MODES = ("mean", "concatenate")


class MarkedPooling(Module):
    """Pools token_embeddings `[B, L, d]` where pooling_mask is 1.

    Args:
        embedding_dimension: d.
        mode: "mean" gives `[B, d]`; "concatenate" joins the k marked states to `[B, k * d]`.
        tokens: k, the number of marked positions per text, for "concatenate".

    Raises:
        UserError: an unknown mode.
    """

    config_keys = ("embedding_dimension", "mode", "tokens")

    def __init__(self, embedding_dimension: int, mode: str = "mean", tokens: int = 1):
        super().__init__()
        if mode not in MODES:
            raise unknown("pooling", mode, MODES, f"Valid: {', '.join(MODES)}.")
        self.embedding_dimension = embedding_dimension
        self.mode = mode
        self.tokens = tokens

    def forward(self, features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        states, mask = features["token_embeddings"], features["pooling_mask"]
        if self.mode == "mean":
            features["sentence_embedding"] = masked_mean(states, mask)
        else:
            features["sentence_embedding"] = states[mask.bool()].view(len(states), self.get_embedding_dimension())
        return features

    def get_embedding_dimension(self) -> int:
        return self.embedding_dimension * (self.tokens if self.mode == "concatenate" else 1)

    def save(self, output_path: str, *args, **kwargs) -> None:
        self.save_config(output_path)


def masked_mean(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean of `[B, L, d]` over the positions where mask `[B, L]` is 1; summed in float32, `[B, d]` in their dtype."""
    mask = mask[..., None].float()
    return ((states.float() * mask).sum(1) / mask.sum(1).clamp(min=1)).to(states.dtype)
