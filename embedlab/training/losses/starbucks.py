"""Starbucks' representation learning (arXiv:2410.13230): a fixed list of sizes, each taught by the full one."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from sentence_transformers import SentenceTransformer
from sentence_transformers.util import cos_sim, dot_score
from torch import nn

from embedlab.encoders.layers import layer_outputs
from embedlab.encoders.matryoshka import View, trained_views


class Starbucks(nn.Module):
    """Sum over the sizes of InfoNCE and of the KL divergence to the full size.

    Args:
        model: of `embedlab.encoders.starbucks`.
        pairs: (layer, dimension), smallest first, the last one the full size; None takes the model's own.
        similarity: "dot" as for retrieval, or "cosine" as for STS.
        scale: factor on the similarity.
        temperature: of both distributions in the divergence; 1 for retrieval, 0.3 for STS.
        kl_weight: of the divergence.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        pairs: Sequence[View] | None = None,
        similarity: str = "dot",
        scale: float = 1.0,
        temperature: float = 1.0,
        kl_weight: float = 1.0,
    ):
        super().__init__()
        self.model = model
        self.pairs = [tuple(pair) for pair in pairs or trained_views(model)]
        self.similarity = {"dot": dot_score, "cosine": cos_sim}[similarity]
        self.scale = scale
        self.temperature = temperature
        self.kl_weight = kl_weight

    def forward(self, sentence_features, labels=None) -> dict[str, torch.Tensor]:
        layers = [layer for layer, _ in self.pairs]
        query, *documents = (layer_outputs(self.model, features, layers) for features in sentence_features)
        documents = torch.cat(documents, dim=1)
        scores = [
            self.scale * self.similarity(query[i, :, :dim], documents[i, :, :dim])
            for i, (_, dim) in enumerate(self.pairs)
        ]
        targets = torch.arange(query.shape[1], device=query.device)
        ranking = sum(F.cross_entropy(size.float(), targets) for size in scores)
        teacher = (scores[-1].detach().float() / self.temperature).softmax(-1)
        distillation = sum(
            F.kl_div((size.float() / self.temperature).log_softmax(-1), teacher, reduction="batchmean")
            for size in scores[:-1]
        )
        return {"ranking": ranking, "distillation": self.kl_weight * distillation}
