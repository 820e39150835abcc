"""2DMSE (arXiv:2402.14776): in each step one inner layer
and one prefix of the vector learn beside the full model.

sentence-transformers' `Matryoshka2dLoss` differs: it also draws the token embeddings as a layer,
and weights otherwise.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from sentence_transformers import SentenceTransformer
from torch import nn

from embedlab.encoders.modules.layers import dimensions_of, layer_outputs, number_of_layers
from embedlab.encoders.modules.saved import Features
from embedlab.training.losses.contrastive import info_nce


class TwoDimensional(nn.Module):
    """The loss of the authors' trainer,
    with layer m of M drawn from 1 to M - 1 and dimension d from `dims`:

        L(full) + L(m) / m + T log(2 + m) KL(m || full)  +  L(full[:d]) + L(m[:d]) / m

    L is InfoNCE on cosine, which is the authors' loss for pairs; for triples they add terms on
    cosines and angles, left out here. The divergence compares the softmax over each vector's
    components, T = 1. Its teacher is not detached: the full model moves towards its inner layer too
    (github.com/SeanLee97/AnglE at 347bbb6, `AngleTDMSETrainer`).

    Args:
        model: any model of which layers are defined.
        dims: dimensions to draw from; None takes 8, 16, ... below the full width.
        scale: factor on the cosine.
        temperature: T.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        dims: list[int] | None = None,
        scale: float = 20.0,
        temperature: float = 1.0,
    ):
        super().__init__()
        self.model = model
        self.layers = number_of_layers(model)
        width = dimensions_of(model)
        self.dims = dims or [2**power for power in range(3, 20) if 2**power < width]
        self.scale = scale
        self.temperature = temperature

    def forward(
        self, sentence_features: Sequence[Features], labels: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        layer = int(torch.randint(1, self.layers, ()))
        dim = self.dims[int(torch.randint(len(self.dims), ()))]
        outputs = [
            layer_outputs(self.model, features, [layer, self.layers])
            for features in sentence_features
        ]
        return self.compute_loss_from_embeddings(outputs, layer=layer, dim=dim)

    def compute_loss_from_embeddings(
        self,
        embeddings: list[torch.Tensor],
        labels: torch.Tensor | None = None,
        *,
        layer: int,
        dim: int,
    ) -> dict[str, torch.Tensor]:
        """The terms, from one tensor `[2, B, width]` per column:
        the inner layer's vectors, and the full model's.
        """
        inner, full = ([column[i] for column in embeddings] for i in (0, 1))
        return {
            "full": self._ranking(full) + self._ranking(full, dim),
            "inner": (self._ranking(inner) + self._ranking(inner, dim)) / layer,
            "divergence": self.temperature * math.log(2 + layer) * self._divergence(inner, full),
        }

    def _ranking(self, columns: list[torch.Tensor], dim: int | None = None) -> torch.Tensor:
        query, *documents = (column[:, :dim] for column in columns)
        return info_nce(query, torch.cat(documents), self.scale)

    def _divergence(self, inner: list[torch.Tensor], full: list[torch.Tensor]) -> torch.Tensor:
        student = (torch.cat(inner).float() / self.temperature).log_softmax(-1)
        teacher = (torch.cat(full).float() / self.temperature).softmax(-1)
        return F.kl_div(student, teacher, reduction="batchmean")
