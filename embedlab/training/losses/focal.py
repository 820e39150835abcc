"""KaLM-Embedding-V2's loss (arXiv:2506.20923): InfoNCE that weighs hard rows more, with hard
negatives mixed out of those that are there.
"""

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from sentence_transformers.base.losses.merged_forward import embed_columns
from torch import Tensor, nn

from embedlab.training.losses.caching import cached


class Focal(nn.Module):
    """Mean over the rows of (1 - p)^gamma * -log p, p being InfoNCE's softmax of the positive.

    The softmax runs over all documents of the batch and over mixed negatives of the row's own, in
    the space of unit vectors:

    * `mixed` of two drawn hard negatives each, normalize(b h_i + (1 - b) h_j), b ~ Beta(2, 2);
    * with `listwise`, one of all of them, normalize(sum_k softmax_k(s(q, h_k) / t) h_k).

    Focal-style reweighting with gamma 0.5 and Beta(2, 2) are the authors'. Their code is not
    public; that gradients run through the weight, as in the focal loss (arXiv:1708.02002), and
    through the mixtures, the number of them, and the softmax in the list are choices here.

    Args:
        model: any dense model; columns are query, positive, negatives.
        gamma: 0 is InfoNCE.
        mixed: mixtures of two per row.
        listwise: also the mixture of all.
        temperature: of the cosines.
    """

    def __init__(
        self,
        model: nn.Module,
        gamma: float = 0.5,
        mixed: int = 1,
        listwise: bool = False,
        temperature: float = 0.05,
    ) -> None:
        super().__init__()
        if gamma < 0 or mixed < 0 or temperature <= 0:
            raise ValueError("gamma and mixed are 0 or more, temperature is more than 0")
        self.model = model
        self.gamma = gamma
        self.mixed = mixed
        self.listwise = listwise
        self.temperature = temperature

    def forward(
        self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor | None = None
    ) -> Tensor:
        return self.compute_loss_from_embeddings(embed_columns(self.model, sentence_features))

    def compute_loss_from_embeddings(
        self, embeddings: list[Tensor], labels: Tensor | None = None
    ) -> Tensor:
        """The loss, from one tensor `[B, d]` per column."""
        query, *documents = (F.normalize(one.float(), dim=-1) for one in embeddings)
        scores = [query @ torch.cat(documents).T]
        if (self.mixed or self.listwise) and len(documents) > 1:
            own = torch.stack(documents[1:], dim=1)
            scores.append((self._mixtures(query, own) @ query[..., None])[..., 0])
        logits = torch.cat(scores, dim=1) / self.temperature
        target = torch.arange(len(query), device=query.device)
        loss = F.cross_entropy(logits, target, reduction="none")
        return ((1 - (-loss).exp()).clamp(min=1e-12) ** self.gamma * loss).mean()

    def _mixtures(self, query: Tensor, own: Tensor) -> Tensor:
        """Mixed negatives `[B, n, d]` out of each row's own `[B, M, d]`."""
        rows, number = own.shape[:2]
        found = []
        if self.mixed:
            share = torch.distributions.Beta(2.0, 2.0).sample((rows, self.mixed, 1)).to(own.device)
            drawn = torch.rand(rows, self.mixed, number, device=own.device).argsort(-1)[..., :2]
            first, second = (
                own.gather(1, drawn[..., i, None].expand(-1, -1, own.shape[-1])) for i in (0, 1)
            )
            found.append(share * first + (1 - share) * second)
        if self.listwise:
            weights = ((own @ query[..., None]) / self.temperature).softmax(1)
            found.append((weights * own).sum(1, keepdim=True))
        return F.normalize(torch.cat(found, dim=1), dim=-1)


def build(model: nn.Module, *, mini_batch_size: int | None = None, **settings: Any) -> nn.Module:
    """The loss by the settings of a recipe."""
    return cached(model, Focal(model, **settings), mini_batch_size)


def negatives(settings: dict[str, Any]) -> int:
    """How many columns of negatives a row needs at least."""
    return 2 if settings.get("mixed", 1) else 1 if settings.get("listwise") else 0
