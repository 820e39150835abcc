"""An encoder without weights:
a text's vector is the sum of random vectors, one for each of its trigrams.
"""

import zlib
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import InputModule

from embedlab.models.cards import Card

CARDS = [
    Card(
        "trigrams",
        method="trigrams",
        description="Counts three letters at a time; what sounds alike is alike.",
        similarity="cosine",
        prompts={"query": "", "document": ""},
    )
]


class Trigrams(InputModule):
    """Texts to trigrams to vectors, float32 `[texts, dim]`."""

    config_keys = ["dim", "buckets"]  # noqa: RUF012

    def __init__(self, dim: int, buckets: int):
        super().__init__()
        self.dim, self.buckets = dim, buckets
        vectors = torch.randn(buckets, dim, generator=torch.Generator().manual_seed(0))
        self.register_buffer("vectors", vectors / dim**0.5)

    def preprocess(
        self, inputs: list[str], prompt: str | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        ids: list[int] = []
        offsets: list[int] = []
        for text in inputs:
            text = f" {prompt or ''}{text} ".lower()
            offsets.append(len(ids))
            ids += (
                zlib.crc32(text[at : at + 3].encode()) % self.buckets for at in range(len(text) - 2)
            )
        return {"input_ids": torch.tensor(ids), "offsets": torch.tensor(offsets)}

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        bags = features["input_ids"], self.vectors, features["offsets"]
        features["sentence_embedding"] = torch.nn.functional.embedding_bag(*bags, mode="sum")
        return features

    def get_embedding_dimension(self) -> int:
        return self.dim

    def save(self, output_path: str, *args: Any, **kwargs: Any) -> None:
        self.save_config(output_path)


def load(
    *, device: str | None = None, dtype: Any = None, dim: int = 256, buckets: int = 50_000
) -> SentenceTransformer:
    """Make the model; the settings are what `trigrams?dim=64` sets."""
    return SentenceTransformer(
        modules=[Trigrams(dim, buckets)], device=device, similarity_fn_name="cosine"
    )
