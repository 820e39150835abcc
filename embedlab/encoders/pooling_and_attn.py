"""Pooling And Attention (arXiv:2409.02727): five pairs of pooling and attention on one base, LoRA
plus a trained head.

The trained head lets latents attend to one state per layer (multi-layer), or to states of the last
layer. What it reads, and the head's file attn_pool.pt, are those of
github.com/yixuantt/PoolingAndAttn (57791d5).
"""

from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize
from sentence_transformers.sentence_transformer.modules import Pooling
from torch import nn

from embedlab.encoders.llm2vec import merge_adapter
from embedlab.encoders.modules.decoder import Decoder
from embedlab.encoders.modules.latent_attention import CrossAttentionBlocks
from embedlab.encoders.modules.pooling import TrainedPooling, masked_mean
from embedlab.encoders.modules.saved import Features
from embedlab.encoders.modules.template import Row, Template
from embedlab.encoders.modules.weights import local, read_backbone, read_tokenizer, refuse
from embedlab.errors import UserError

# variant -> what the head reads ("" is the state of EOS without a head), attention
VARIANTS = {
    1: ("", "causal"),
    2: ("last_token", "causal"),
    3: ("last_of_layers", "causal"),
    4: ("tokens", "bidirectional"),
    5: ("layers", "bidirectional"),
}
HEAD_FILE = "attn_pool.pt"


class TrainablePooling(TrainedPooling):
    """Latents attend to what the backbone gives;
    the mean over the latents is the embedding (section 3).

    Args:
        size: width of states and latents.
        layers: number of layers of the backbone.
        reads: "layers", the mean of each layer over the tokens; "last_of_layers", the last token of
            each layer; "last_token", the last state of the last token; "tokens", every last state,
            padding included as in the published code, so that the result depends on the batch.
        latents_number: number of latents.
        heads: number of heads.
        head_size: width of each head.
    """

    config_keys = ["size", "layers", "reads", "latents_number", "heads", "head_size"]  # noqa: RUF012

    def __init__(
        self,
        size: int = 4096,
        layers: int = 32,
        reads: str = "layers",
        latents_number: int = 768,
        heads: int = 32,
        head_size: int = 2048,
    ):
        super().__init__()
        self.size = size
        self.layers = layers
        self.reads = reads
        self.latents_number = latents_number
        self.heads = heads
        self.head_size = head_size
        self.latents = nn.Parameter(torch.randn(latents_number, size))
        if "layers" in reads:
            self.pos_emb = nn.Embedding(layers, size)
        self.cross_attend_blocks = CrossAttentionBlocks(size, heads, head_size, latents_ask=True)

    def forward(self, features: Features, **kwargs: Any) -> Features:
        hiddens = self._hiddens(features)
        latents = self.cross_attend_blocks(hiddens, self.latents.expand(len(hiddens), -1, -1))
        features["sentence_embedding"] = latents.mean(1)
        return features

    def _hiddens(self, features: Features) -> torch.Tensor:
        """What the latents attend to, `[B, C, d]`."""
        states: torch.Tensor = features["token_embeddings"]
        mask: torch.Tensor = features["attention_mask"]
        if self.reads == "layers":
            means = [masked_mean(layer, mask) for layer in features["all_layer_embeddings"]]
            return torch.stack(means, dim=1) + self.pos_emb.weight
        if self.reads == "tokens":
            return states
        row = torch.arange(len(states), device=mask.device)
        last = (mask * torch.arange(1, mask.shape[1] + 1, device=mask.device)).argmax(-1)
        if self.reads == "last_token":
            return states[row, last][:, None]
        return (
            torch.stack([layer[row, last] for layer in features["all_layer_embeddings"]], 1)
            + self.pos_emb.weight
        )

    def get_embedding_dimension(self) -> int:
        return self.size

    def save(
        self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any
    ) -> None:
        """The weights go to attn_pool.pt, under the keys that the published code loads."""
        self.save_config(output_path)
        torch.save(
            {key: value.detach().cpu() for key, value in self.state_dict().items()},
            Path(output_path, HEAD_FILE),
        )

    @classmethod
    def from_folder(cls, folder: Path, *, model_kwargs: dict[str, Any]) -> Self:
        pooling = cls(**cls.load_config(str(folder)))  # its weights are no model.safetensors
        weights = torch.load(folder / HEAD_FILE, map_location="cpu", weights_only=True)
        pooling.load_state_dict(weights)
        return pooling


class BatchPaddedDecoder(Decoder):
    """The decoder of variant 4, whose head also reads the padding:
    padded and positioned as the published code does.

    Padding goes to the next multiple of 8 and takes positions of its own.
    """

    def pad(self, rows: list[Row]) -> Features:
        features = super().pad(rows)
        missing = -features["input_ids"].shape[1] % 8
        fill = {"input_ids": self.pad_id, "attention_mask": 0, "pooling_mask": 0}
        padded = {
            key: F.pad(value, (missing, 0), value=fill[key]) for key, value in features.items()
        }
        # Whoever cuts a batch to its longest text has to pad it again.
        return padded | {"pad_to_multiple_of": 8}

    def positions(self, attention_mask: torch.Tensor) -> torch.Tensor:
        return torch.arange(attention_mask.shape[1], device=attention_mask.device).expand_as(
            attention_mask
        )


def load(
    source: str | Path,
    *,
    base: str | Path = "mistralai/Mistral-7B-v0.1",
    variant: int = 5,
    heads: int = 32,
    max_length: int = 1024,
    revision: str | None = None,
    device: str | None = None,
    dtype: torch.dtype | None = None,
) -> SentenceTransformer:
    """The base model with the adapter in `source` merged in, and its attn_pool.pt as head.

    Args:
        source: folder or hub id with adapter_config.json and, save for variant 1, attn_pool.pt.
        base: the base model.
        variant: 1 to 5, see VARIANTS.
        heads: heads of the head's attention; their width follows from the weights.
        max_length: tokens with BOS and EOS.
        revision: of `source`.
        device: torch device.
        dtype: dtype of the weights; None is float32.

    Raises:
        UserError: an unknown variant, an adapter or head that does not fit, or the wrong attention.
    """
    if variant not in VARIANTS:
        raise UserError(
            f"There is no variant {variant}.", f"Valid: {', '.join(map(str, VARIANTS))}."
        )
    reads, attention = VARIANTS[variant]
    folder, base_folder = local(source, revision), local(base)
    model = merge_adapter(read_backbone(base_folder, attention, dtype=dtype), folder)
    tokenizer = read_tokenizer(base_folder)
    template = Template(
        start=[tokenizer.bos_token], end=[tokenizer.eos_token], max_length=max_length
    )
    kind = BatchPaddedDecoder if reads == "tokens" else Decoder
    decoder = kind(
        model,
        tokenizer,
        template,
        attention=attention,
        padding_side="left",
        all_layers="layers" in reads,
    )
    size = decoder.get_embedding_dimension()
    pooling = (
        _read_head(folder, size, model.config.num_hidden_layers, reads, heads) if reads else None
    )
    pooling = pooling.to(dtype or torch.float32) if pooling else Pooling(size, "lasttoken")
    return SentenceTransformer(
        modules=[decoder, pooling, Normalize()], device=device, similarity_fn_name="cosine"
    )


def _read_head(folder: Path, size: int, layers: int, reads: str, heads: int) -> TrainablePooling:
    file = folder / HEAD_FILE
    if not file.exists():
        raise UserError(
            f"The folder {folder} holds no {HEAD_FILE}.", "Variant 1 is the one without a head."
        )
    weights = torch.load(file, map_location="cpu", weights_only=True)
    latents = weights["latents"].shape[0] if "latents" in weights else 768
    queries = weights.get("cross_attend_blocks.0.fn.to_q.weight")
    pooling = TrainablePooling(
        size, layers, reads, latents, heads, 2048 if queries is None else len(queries) // heads
    )
    wanted = {key: value.shape for key, value in pooling.state_dict().items()}
    refuse(file, wanted, {key: value.shape for key, value in weights.items()})
    pooling.load_state_dict({key: weights[key] for key in wanted})
    return pooling
