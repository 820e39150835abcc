"""Soft labels (LG-ANNA-Embedding, arXiv:2506.07438): the relevance of a row's candidates is what
teachers score, not one and zeros.
"""

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from sentence_transformers.base.losses.merged_forward import embed_columns
from torch import Tensor, nn

from embedlab.training.losses.caching import cached


class SoftLabels(nn.Module):
    """Mean over the rows of -sum_d y_d log p_d.

    p is the softmax of the student's cosines / `temperature` over the row's candidates and, with
    `in_batch`, the other rows' documents; y = hard * [d is the positive] + (1 - hard) *
    softmax(teacher's scores / `teacher_temperature`) over the row's own candidates. A negative that
    the teacher scores above the positive's score - `margin` may well be right: it is in neither sum
    (the margin moves with the positive, hence adaptive).

    The report's abstract has scores of retriever and reranker as labels, and the filter by a
    margin; its formulas are not public code, and temperatures, margin and the share of the hard
    label are choices here.

    Args:
        model: any dense model; columns are query, positive, negatives, label the teacher's scores
            `[B, candidates]`.
        temperature: of the student's cosines.
        teacher_temperature: of the teacher's scores.
        hard: share of the hard label.
        margin: see above; None keeps every negative.
        in_batch: whether other rows' documents count as negatives.
    """

    def __init__(
        self,
        model: nn.Module,
        temperature: float = 0.05,
        teacher_temperature: float = 0.05,
        hard: float = 0.5,
        margin: float | None = 0.05,
        in_batch: bool = True,
    ) -> None:
        super().__init__()
        if temperature <= 0 or teacher_temperature <= 0 or not 0 <= hard <= 1:
            raise ValueError("temperatures are more than 0, hard is a share from 0 to 1")
        self.model = model
        self.temperature = temperature
        self.teacher_temperature = teacher_temperature
        self.hard = hard
        self.margin = margin
        self.in_batch = in_batch

    def forward(
        self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor | None = None
    ) -> Tensor:
        return self.compute_loss_from_embeddings(
            embed_columns(self.model, sentence_features), labels
        )

    def compute_loss_from_embeddings(
        self, embeddings: list[Tensor], labels: Tensor | None = None
    ) -> Tensor:
        """The loss, from one tensor `[B, d]` per column
        and the teacher's scores `[B, columns - 1]`.
        """
        assert labels is not None
        query, *documents = (F.normalize(one.float(), dim=-1) for one in embeddings)
        teacher = labels.detach().float()
        left_out = torch.zeros_like(teacher, dtype=torch.bool)
        if self.margin is not None:
            left_out[:, 1:] = teacher[:, 1:] > teacher[:, :1] - self.margin
        own = torch.stack([(query * one).sum(-1) for one in documents], dim=1) / self.temperature
        own = own.masked_fill(left_out, -torch.inf)
        others = [own]
        if self.in_batch:
            scores = query @ torch.cat(documents).T / self.temperature
            itself = torch.eye(len(query), dtype=torch.bool, device=query.device)
            others.append(scores.masked_fill(itself.repeat(1, len(documents)), -torch.inf))
        log_p = own - torch.cat(others, dim=1).logsumexp(1, keepdim=True)
        soft = (teacher / self.teacher_temperature).masked_fill(left_out, -torch.inf).softmax(1)
        wanted = (1 - self.hard) * soft
        wanted[:, 0] += self.hard
        return -(wanted * log_p.masked_fill(left_out, 0.0)).sum(1).mean()


def build(
    model: nn.Module,
    *,
    teachers: list[str] | str = "",
    mini_batch_size: int | None = None,
    **settings: Any,
) -> nn.Module:
    """The loss by the settings of a recipe; `embedlab.training.teachers` reads `teachers`."""
    return cached(model, SoftLabels(model, **settings), mini_batch_size)
