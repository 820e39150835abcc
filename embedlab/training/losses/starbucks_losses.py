"""Starbucks' representation learning (arXiv:2410.13230):
a fixed list of sizes, each taught by the full one.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from sentence_transformers import SentenceTransformer
from sentence_transformers.util import cos_sim, dot_score
from torch import nn

from embedlab.encoders.modules.layers import layer_outputs
from embedlab.encoders.modules.matryoshka import View, views_to_train
from embedlab.encoders.modules.saved import Features
from embedlab.errors import unknown

# The authors train their two models by two programs: retrieval/modeling.py and
# sts/starbucks_loss.py.
TASKS: dict[str, tuple[Callable[[torch.Tensor, torch.Tensor], torch.Tensor], float, float]] = {
    "retrieval": (dot_score, 1.0, 1.0),
    "sts": (cos_sim, 20.0, 0.3),
}


class Starbucks(nn.Module):
    """Sum over the sizes of InfoNCE and, the full size apart,
    of the KL divergence to the full size.

    For retrieval the divergence compares the scores of the documents in the batch, and the full
    size only teaches. For STS it compares the softmax over the components of the vectors, the full
    vector cut to the same dimensions; it is not detached, so that the full size learns from the
    small ones too.

    Args:
        model: of `embedlab.encoders.starbucks`.
        pairs: (layer, dimension), smallest first, the last one the full size; None takes the
            model's own.
        task: "retrieval" (dot product, scale 1, weight 1) or "sts" (cosine, scale 20, weight 0.3).
        scale: factor on the similarity, 1 / temperature; None takes the task's.
        kl_weight: of the divergence; None takes the task's.

    Raises:
        UserError: the task is neither.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        pairs: Sequence[View] | None = None,
        task: str = "retrieval",
        scale: float | None = None,
        kl_weight: float | None = None,
    ):
        super().__init__()
        self.model = model
        self.pairs = views_to_train(model, pairs)
        if task not in TASKS:
            raise unknown("task of Starbucks", task, TASKS, f"Valid: {', '.join(TASKS)}.")
        self.task = task
        self.similarity, own_scale, own_weight = TASKS[task]
        self.scale = own_scale if scale is None else scale
        self.kl_weight = own_weight if kl_weight is None else kl_weight

    def forward(
        self, sentence_features: Sequence[Features], labels: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        layers = [layer for layer, _ in self.pairs]
        return self.compute_loss_from_embeddings(
            [layer_outputs(self.model, features, layers) for features in sentence_features]
        )

    def compute_loss_from_embeddings(
        self, embeddings: list[torch.Tensor], labels: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        """The two terms, from one tensor `[sizes, B, width]` per column;
        columns are query, positive, negatives.
        """
        query, documents = embeddings[0], torch.cat(embeddings[1:], dim=1)
        scores = [
            self.scale * self.similarity(query[i, :, :dim], documents[i, :, :dim]).float()
            for i, (_, dim) in enumerate(self.pairs)
        ]
        targets = torch.arange(query.shape[1], device=query.device)
        if self.task == "retrieval":
            divergences = [_divergence(size, scores[-1].detach()) for size in scores[:-1]]
        else:
            vectors = torch.cat(embeddings, dim=1).float()
            divergences = [
                _divergence(vectors[i, :, :dim], vectors[-1, :, :dim])
                for i, (_, dim) in enumerate(self.pairs[:-1])
            ]
        nothing = torch.zeros((), device=query.device)
        ranking = sum((F.cross_entropy(size, targets) for size in scores), nothing)
        return {"ranking": ranking, "distillation": self.kl_weight * sum(divergences, nothing)}


def _divergence(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Mean over the rows of KL(softmax(teacher) || softmax(student))."""
    return F.kl_div(student.log_softmax(-1), teacher.softmax(-1), reduction="batchmean")
