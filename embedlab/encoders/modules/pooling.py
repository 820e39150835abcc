"""Pooling over the positions that a template marks, where the attention mask is not the whole
story.
"""

import torch
import torch.nn.functional as F
from sentence_transformers.base.modules import Module

from embedlab.encoders import trust  # noqa: F401 - saved models load by SentenceTransformer(path)
from embedlab.errors import unknown

MODES = ("mean", "concatenate")


class MarkedPooling(Module):
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

    config_keys = ("embedding_dimension", "mode", "tokens", "order", "normalize_parts")

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

    def forward(self, features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
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

    def save(self, output_path: str, *args, **kwargs) -> None:
        self.save_config(output_path)


class TrainedPooling(Module):
    """A pooling with weights of its own, kept as model.safetensors beside its configuration."""

    def save(self, output_path: str, *args, safe_serialization: bool = True, **kwargs) -> None:
        self.save_config(output_path)
        self.save_torch_weights(output_path, safe_serialization)

    @classmethod
    def load(cls, model_name_or_path: str, subfolder: str = "", **kwargs) -> "TrainedPooling":
        where = {
            key: kwargs[key]
            for key in ("token", "cache_folder", "revision", "local_files_only")
            if key in kwargs
        }
        module = cls(**cls.load_config(model_name_or_path, subfolder=subfolder, **where))
        return cls.load_torch_weights(
            model_name_or_path, subfolder=subfolder, model=module, **where
        )


def masked_mean(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean of `[B, L, d]` over the positions where mask `[B, L]` is 1; summed in float32, `[B, d]`
    in their dtype.
    """
    mask = mask[..., None].float()
    return ((states.float() * mask).sum(1) / mask.sum(1).clamp(min=1)).to(states.dtype)
