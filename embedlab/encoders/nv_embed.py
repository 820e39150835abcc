"""NV-Embed v1 and v2 (arXiv:2405.17428): bidirectional Mistral, latent-attention pooling."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize
from torch import nn
from transformers import MistralConfig, MistralModel

from embedlab.encoders.modules import attention as attentions
from embedlab.encoders.modules.decoder import Decoder
from embedlab.encoders.modules.latent_attention import CrossAttentionBlocks
from embedlab.encoders.modules.pooling import TrainedPooling, masked_mean
from embedlab.encoders.modules.saved import Features
from embedlab.encoders.modules.template import Template
from embedlab.encoders.modules.weights import local, read_layout, read_tokenizer

# The instruction is not pooled. As published, the cut is at the pieces of the instruction alone,
# not counting BOS: its last piece, the trailing space, merges with the first word of the query.
TEMPLATE = Template(start=["<s>"], end=["</s>"], pooled="after_prompt")


class LatentAttentionPooling(TrainedPooling):
    """Each token attends to a trained dictionary of latents;
    then the mean over the marked tokens (section 3.1).

    Args:
        size: width of tokens and latents.
        latents_number: number of latents.
        heads: number of heads.
        head_size: width of each head.
    """

    config_keys = ["size", "latents_number", "heads", "head_size"]  # noqa: RUF012

    def __init__(
        self, size: int = 4096, latents_number: int = 512, heads: int = 8, head_size: int = 4096
    ):
        super().__init__()
        self.size = size
        self.latents_number = latents_number
        self.heads = heads
        self.head_size = head_size
        self.latents = nn.Parameter(torch.randn(latents_number, size))
        self.cross_attend_blocks = CrossAttentionBlocks(size, heads, head_size)

    def forward(self, features: Features, **kwargs: Any) -> Features:
        states = features["token_embeddings"]
        states = self.cross_attend_blocks(states, self.latents.expand(len(states), -1, -1))
        features["sentence_embedding"] = masked_mean(states, features["pooling_mask"])
        return features

    def get_embedding_dimension(self) -> int:
        return self.size


def recognises(folder: Path, config: dict[str, Any]) -> bool:
    """Whether a folder holds NV-Embed's published layout."""
    return config.get("model_type") == "nvembed"


def load(
    source: str | Path,
    *,
    revision: str | None = None,
    device: str | None = None,
    dtype: torch.dtype | None = None,
    max_length: int = 4096,
    keep_end: bool = True,
) -> SentenceTransformer:
    """Load the published checkpoint:
    `embedding_model.*` and `latent_attention_model.*` in safetensors.

    Args:
        source: hub id or local folder.
        revision: hub revision; None takes the newest.
        device: torch device; None lets sentence-transformers choose.
        dtype: dtype of the weights; None is float32.
        max_length: tokens, with BOS and EOS.
        keep_end: a text beyond `max_length` keeps its EOS; False: it loses it, as published.

    Raises:
        UserError: a key is missing or misshapen (all of them are named), or the attention is not
            bidirectional.
    """
    folder = local(source, revision)
    published = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    text = {
        key: value
        for key, value in published["text_config"].items()
        if key not in ("model_type", "architectures")
    }
    config = MistralConfig(**text)
    attentions.configure(config, "bidirectional")
    config.name_or_path = str(source)
    head = published.get("latent_attention_config", {})
    with torch.device("meta"):
        pooling = LatentAttentionPooling(
            config.hidden_size,
            head.get("num_latents_value", 512),
            head.get("num_cross_heads", 8),
            head.get("cross_dim_head", 4096),
        )
        shapes = {
            f"embedding_model.{key}": value.shape
            for key, value in MistralModel(config).state_dict().items()
        }
    shapes |= {
        f"latent_attention_model.{key}": value.shape for key, value in pooling.state_dict().items()
    }

    weights = read_layout(folder, shapes, dtype)
    backbone = MistralModel.from_pretrained(
        None,
        config=config,
        state_dict=_below("embedding_model.", weights),
        dtype=dtype or torch.float32,
    )
    attentions.apply(backbone, "bidirectional")
    pooling.load_state_dict(_below("latent_attention_model.", weights), assign=True)
    template = replace(TEMPLATE, max_length=max_length, keep_end=keep_end)
    decoder = Decoder(backbone, read_tokenizer(folder), template, attention="bidirectional")
    modules: list[nn.Module] = [decoder, pooling]
    if head.get("output_normalize", True):
        modules.append(Normalize())
    return SentenceTransformer(modules=modules, device=device, similarity_fn_name="cosine")


def _below(prefix: str, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {
        key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)
    }
