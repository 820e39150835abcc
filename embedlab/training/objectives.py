"""What a stage of a recipe can train for: a loss, and the columns it reads."""

from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

from datasets import Dataset
from torch import nn

from embedlab.errors import UserError


class Objective(NamedTuple):
    """A loss by the name that recipes use."""

    build: Callable[..., nn.Module]  # (model, **settings)
    # pairs: query, positive, negatives; text: all texts of a row as one; same: that text twice;
    # mirrored: twice, with a span masked in the second.
    columns: str


def contrastive(
    model, *, scale: float = 20.0, similarity: str = "cosine", in_batch: bool = True, **settings
):
    """InfoNCE; without `in_batch` only a row's own negatives count (NV-Embed's second stage)."""
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
    from sentence_transformers.util import cos_sim, dot_score

    from embedlab.training.losses.contrastive import OwnNegatives

    function = {"cosine": cos_sim, "dot": dot_score}[similarity]
    kind = MultipleNegativesRankingLoss if in_batch else OwnNegatives
    return kind(model, scale=scale, similarity_fct=function, **settings)


def matryoshka(model, *, dims: list[int], scale: float = 20.0):
    """MRL: the same loss on every prefix of the vector, slices normalised after slicing
    (arXiv:2205.13147).
    """
    from sentence_transformers.sentence_transformer.losses import (
        MatryoshkaLoss,
        MultipleNegativesRankingLoss,
    )

    return MatryoshkaLoss(model, MultipleNegativesRankingLoss(model, scale=scale), dims)


def splade(model, *, query_weight: float, document_weight: float, scale: float = 1.0):
    """SPLADE: InfoNCE on the dot product, FLOPS on queries and documents.

    The trainer of sentence-transformers lets the weights rise quadratically over the first third of
    the steps.
    """
    from sentence_transformers.sparse_encoder.losses import (
        SparseMultipleNegativesRankingLoss,
        SpladeLoss,
    )
    from sentence_transformers.util import dot_score

    ranking = SparseMultipleNegativesRankingLoss(model, scale=scale, similarity_fct=dot_score)
    return SpladeLoss(model, ranking, document_weight, query_regularizer_weight=query_weight)


def _ours(module: str, name: str) -> Callable[..., nn.Module]:
    def build(model, **settings):
        from importlib import import_module

        return getattr(import_module(f"embedlab.training.losses.{module}"), name)(model, **settings)

    return build


OBJECTIVES = {
    "contrastive": Objective(contrastive, "pairs"),
    "simcse": Objective(contrastive, "same"),
    "matryoshka": Objective(matryoshka, "pairs"),
    "2dmse": Objective(_ours("two_dimensional", "TwoDimensional"), "pairs"),
    "starbucks": Objective(_ours("starbucks_losses", "Starbucks"), "pairs"),
    "splade": Objective(splade, "pairs"),
    "grl": Objective(_ours("grl", "GRL"), "pairs"),
    "gem": Objective(_ours("gem_losses", "GEM"), "text"),
    "mirror": Objective(_ours("contrastive", "Mirror"), "mirrored"),
    "next-token": Objective(_ours("language", "NextToken"), "text"),
    "masked-next-token": Objective(_ours("language", "MaskedNextToken"), "text"),
    "masked-token": Objective(_ours("language", "MaskedToken"), "text"),
    "smae": Objective(_ours("autoencoding", "SMAE"), "text"),
    "dupmae": Objective(_ours("autoencoding", "DupMAE"), "text"),
}


def arrange(rows: Dataset, columns: str, *, mask_token: str = "", seed: int = 0) -> Dataset:
    """`rows` with the columns that an objective reads.

    Args:
        columns: see `Objective`.
        mask_token: what stands for a masked span.
        seed: of the spans.
    """
    if columns == "pairs":
        return rows
    joined = [
        "\n".join(texts) for texts in zip(*(rows[name] for name in rows.column_names), strict=True)
    ]
    if columns == "text":
        return Dataset.from_dict({"text": joined})
    if columns == "same":
        return Dataset.from_dict({"query": joined, "positive": joined})
    random = Random(seed)
    return Dataset.from_dict(
        {"query": joined, "positive": [_span_masked(text, mask_token, random) for text in joined]}
    )


SPAN = 5  # characters (Mirror-BERT, arXiv:2104.08027)
# Characters; shorter texts stay whole (github.com/cambridgeltl/mirror-bert, src/data_loader.py).
SHORT = 30


def _span_masked(text: str, mask_token: str, random: Random) -> str:
    if len(text) < SHORT:
        return text
    start = random.randrange(len(text) - SPAN)
    return f"{text[:start]} {mask_token} {text[start + SPAN :]}"


def build(name: str, model, settings: dict[str, Any]) -> nn.Module:
    """The loss of a stage.

    Raises:
        UserError: a setting is unknown or missing.
    """
    try:
        return OBJECTIVES[name].build(model, **settings)
    except (TypeError, KeyError, ValueError) as error:
        raise UserError(
            f"The settings do not fit the objective {name}: {error}.", "Correct stages.settings."
        ) from error
