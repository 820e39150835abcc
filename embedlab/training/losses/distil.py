"""Distillation: a student takes over a teacher's vectors, its ranking, or its margins.

The losses are sentence-transformers' own.
"""

from typing import Any

from sentence_transformers.sentence_transformer.losses import (
    DistillKLDivLoss,
    EmbedDistillLoss,
    MarginMSELoss,
)
from sentence_transformers.util import pairwise_cos_sim, pairwise_dot_score
from torch import Tensor, nn

from embedlab.errors import UserError, unknown
from embedlab.training.losses.caching import cached

KINDS = ("cosine", "kl", "margin-mse")
SIMILARITIES = {"cosine": pairwise_cos_sim, "dot": pairwise_dot_score}


class _Vectors(EmbedDistillLoss):
    """`EmbedDistillLoss` with the labels of a batch as one tensor, as a cached loss gives them."""

    def compute_loss_from_embeddings(
        self, embeddings: list[Tensor], teacher_embeddings: Tensor | list[Tensor]
    ) -> Tensor:
        if isinstance(teacher_embeddings, Tensor):
            teacher_embeddings = list(teacher_embeddings.detach().unbind(1))
        return super().compute_loss_from_embeddings(embeddings, teacher_embeddings)


def build(
    model: Any,
    *,
    teacher: str,
    kind: str = "kl",
    similarity: str = "cosine",
    temperature: float = 0.05,
    teacher_temperature: float | None = None,
    mini_batch_size: int | None = None,
) -> nn.Module:
    """The loss by the settings of a recipe.

    Args:
        model: the student.
        teacher: a model's name, as for `embedlab eval`.
        kind: "cosine", 1 - cosine of student's and teacher's vectors (through a learned projection
            where their widths differ; EmbedDistill, arXiv:2301.12005); "kl", KL(softmax(teacher's
            scores / t_t) || softmax(student's / t)) * t^2 over the row's candidates (Hinton et al.,
            arXiv:1503.02531); "margin-mse", squared error of s(q, positive) - s(q, negative)
            (arXiv:2010.02666).
        similarity: of the student's vectors, "cosine" or "dot".
        temperature: of "kl": the student's, and the teacher's too where it has none of its own.
        teacher_temperature: of "kl".
        mini_batch_size: rows that go through the model at once (gradient caching).

    Raises:
        UserError: the kind or the similarity is unknown, or they do not fit the teacher.
    """
    if kind not in KINDS:
        raise unknown("kind of distillation", kind, KINDS, f"Valid: {', '.join(KINDS)}.")
    if similarity not in SIMILARITIES:
        raise unknown("similarity", similarity, SIMILARITIES, "Valid: cosine, dot.")
    from embedlab.training.teachers import described

    card = described(teacher, vectors=kind == "cosine")
    measure = SIMILARITIES[similarity]
    loss: nn.Module
    if kind == "cosine":
        width = model.get_embedding_dimension()
        loss = _Vectors(
            model, distance_metric="cosine", projection_dim=card.dim if card.dim != width else None
        )
    elif kind == "kl":
        loss = DistillKLDivLoss(
            model,
            similarity_fct=measure,
            temperature=temperature,
            teacher_temperature=teacher_temperature,
        )
    else:
        if similarity == "cosine" and card.similarity != "cosine":
            raise UserError(
                f"margin-mse compares margins as they are, and those of {teacher} are of"
                f" {card.similarity} products while the student's are of cosines.",
                'Give similarity = "dot", or kind = "kl".',
            )
        loss = MarginMSELoss(model, similarity_fct=measure)
    return cached(model, loss, mini_batch_size)
