"""What a stage of a recipe can train for: a loss, and the columns it reads."""

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from datasets import Dataset
from torch import nn

from embedlab.errors import UserError

if TYPE_CHECKING:
    from sentence_transformers import MultiVectorEncoder, SentenceTransformer, SparseEncoder

    from embedlab.training.untrained import Model


class Objective(NamedTuple):
    """A loss by the name that recipes use."""

    build: Callable[..., nn.Module]  # (model, **settings)
    # pairs: query, positive, negatives; text: all texts of a row as one; same: that text twice;
    # mirrored: twice, with a span masked in the second.
    columns: str
    negatives: Callable[[dict[str, Any]], int] = lambda settings: 0  # columns of them, at least
    teach: Callable[[Dataset, dict[str, Any]], Dataset] | None = None  # adds a column of labels
    models: tuple[str, ...] = ("dense", "sparse")  # whose vectors it trains


def contrastive(
    model: "SentenceTransformer",
    *,
    scale: float = 20.0,
    similarity: str = "cosine",
    in_batch: bool = True,
    mini_batch_size: int | None = None,
    **settings: Any,
) -> nn.Module:
    """InfoNCE; without `in_batch` only a row's own negatives count (NV-Embed's second stage), with
    `mini_batch_size` gradients are cached.
    """
    from sentence_transformers.sentence_transformer.losses import (
        CachedMultipleNegativesRankingLoss,
        MultipleNegativesRankingLoss,
    )
    from sentence_transformers.util import cos_sim, dot_score

    from embedlab.training.losses.caching import cached
    from embedlab.training.losses.contrastive import OwnNegatives

    settings |= {
        "scale": scale,
        "similarity_fct": {"cosine": cos_sim, "dot": dot_score}[similarity],
    }
    if not in_batch:
        return cached(model, OwnNegatives(model, **settings), mini_batch_size)
    if mini_batch_size is None:
        return MultipleNegativesRankingLoss(model, **settings)
    return CachedMultipleNegativesRankingLoss(model, mini_batch_size=mini_batch_size, **settings)


def matryoshka(model: "SentenceTransformer", *, dims: list[int], scale: float = 20.0) -> nn.Module:
    """MRL: the same loss on every prefix of the vector,
    slices normalised after slicing (arXiv:2205.13147).
    """
    from sentence_transformers.sentence_transformer.losses import (
        MatryoshkaLoss,
        MultipleNegativesRankingLoss,
    )

    return MatryoshkaLoss(model, MultipleNegativesRankingLoss(model, scale=scale), dims)


def splade(
    model: "SparseEncoder",
    *,
    query_weight: float,
    document_weight: float,
    scale: float = 1.0,
    ramp: float = 1 / 3,
    ramp_form: str = "quadratic",
    mini_batch_size: int | None = None,
) -> nn.Module:
    """SPLADE: InfoNCE on the dot product, FLOPS on queries and documents.

    The weights of FLOPS rise from 0 over the share `ramp` of the steps: weight * (step /
    (ramp * steps))^2 (arXiv:2109.10086, section 3), or in a straight line with ramp_form "linear".
    """
    from sentence_transformers.sparse_encoder.losses import (
        CachedSpladeLoss,
        SparseMultipleNegativesRankingLoss,
        SpladeLoss,
    )
    from sentence_transformers.util import dot_score

    if ramp_form not in ("quadratic", "linear") or not 0 < ramp <= 1:
        raise ValueError('ramp is a share above 0 and up to 1, ramp_form "quadratic" or "linear"')
    ranking = SparseMultipleNegativesRankingLoss(model, scale=scale, similarity_fct=dot_score)
    if mini_batch_size is None:
        loss = SpladeLoss(model, ranking, document_weight, query_regularizer_weight=query_weight)
    else:
        loss = CachedSpladeLoss(
            model,
            ranking,
            document_weight,
            query_regularizer_weight=query_weight,
            mini_batch_size=mini_batch_size,
        )
    # `embedlab.training.trainer` moves the weights by it; no tensor, as torch has it.
    setattr(loss, "flops_ramp", (ramp_form, ramp))  # noqa: B010
    return loss


def maxsim(
    model: "MultiVectorEncoder", *, scale: float = 1.0, mini_batch_size: int | None = None
) -> nn.Module:
    """InfoNCE on MaxSim, over a multi-vector encoder's tokens
    (sentence-transformers' MultiVectorMultipleNegativesRankingLoss).
    """
    from sentence_transformers.multi_vector_encoder.losses import (
        CachedMultiVectorMultipleNegativesRankingLoss,
        MultiVectorMultipleNegativesRankingLoss,
    )

    if mini_batch_size is None:
        return MultiVectorMultipleNegativesRankingLoss(model, scale=scale)
    return CachedMultiVectorMultipleNegativesRankingLoss(
        model, scale=scale, mini_batch_size=mini_batch_size
    )


def _ours(module: str, name: str) -> Callable[..., nn.Module]:
    def build(model: "SentenceTransformer", **settings: Any) -> nn.Module:
        from importlib import import_module

        loss: Callable[..., nn.Module] = getattr(
            import_module(f"embedlab.training.losses.{module}"), name
        )
        return loss(model, **settings)

    return build


def _taught(name: str) -> Callable[[Dataset, dict[str, Any]], Dataset]:
    def teach(rows: Dataset, settings: dict[str, Any]) -> Dataset:
        from embedlab.training import teachers

        if name == "distil":
            return teachers.distilled(rows, settings)
        return teachers.with_scores(rows, settings, "teachers")

    return teach


def _mixed(settings: dict[str, Any]) -> int:
    from embedlab.training.losses.focal import negatives

    return negatives(settings)


OBJECTIVES = {
    "contrastive": Objective(contrastive, "pairs"),
    "simcse": Objective(contrastive, "same"),
    "matryoshka": Objective(matryoshka, "pairs"),
    "2dmse": Objective(_ours("two_dimensional", "TwoDimensional"), "pairs"),
    "starbucks": Objective(_ours("starbucks_losses", "Starbucks"), "pairs"),
    "splade": Objective(splade, "pairs", models=("sparse",)),
    "maxsim": Objective(maxsim, "pairs", models=("late-interaction",)),
    "distil": Objective(
        _ours("distil", "build"),
        "pairs",
        negatives=lambda settings: settings.get("kind", "kl") != "cosine",
        teach=_taught("distil"),
    ),
    "soft_labels": Objective(
        _ours("soft_labels", "build"),
        "pairs",
        negatives=lambda settings: 1,
        teach=_taught("soft_labels"),
    ),
    "focal": Objective(_ours("focal", "build"), "pairs", negatives=_mixed),
    "grl": Objective(_ours("grl", "GRL"), "pairs"),
    "gem": Objective(_ours("gem_losses", "GEM"), "text"),
    "mirror": Objective(_ours("contrastive", "Mirror"), "mirrored"),
    "next-token": Objective(_ours("language", "NextToken"), "text"),
    "masked-next-token": Objective(_ours("language", "MaskedNextToken"), "text"),
    "masked-token": Objective(_ours("decoder_masking", "masked_token"), "text"),
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


def prepare(name: str, rows: Dataset, settings: dict[str, Any], **how: Any) -> Dataset:
    """`rows` as an objective reads them: its columns, and the labels of its teachers.

    Args:
        how: goes to `arrange`.

    Raises:
        UserError: the objective needs negatives that the rows have not, or a teacher is unknown.
    """
    objective = OBJECTIVES[name]
    needed, there = int(objective.negatives(settings)), len(rows.column_names) - 2
    if there < needed:
        raise UserError(
            f"The objective {name} with these settings needs {needed} columns of negatives, and the"
            f" data have {max(there, 0)}.",
            "Add [data.negatives] with teacher and number, or change stages.settings.",
        )
    arranged = arrange(rows, objective.columns, **how)
    return objective.teach(arranged, settings) if objective.teach else arranged


def build(name: str, model: "Model", settings: dict[str, Any]) -> nn.Module:
    """The loss of a stage.

    Raises:
        UserError: a setting is unknown or missing, or the objective is for models of another kind.
    """
    objective, kind = OBJECTIVES[name], _kind(model)
    # Those that read a text as one have heads of their own, and need no vectors.
    if kind not in objective.models and objective.columns != "text":
        fitting = [key for key, each in OBJECTIVES.items() if kind in each.models]
        raise UserError(
            f"The objective {name} trains {' and '.join(objective.models)} models, and this one is"
            f" {kind}.",
            f"Take another method, or one of these objectives: {', '.join(fitting)}.",
        )
    try:
        return objective.build(model, **settings)
    except (TypeError, KeyError, ValueError) as error:
        raise UserError(
            f"The settings do not fit the objective {name}: {error}.", "Correct stages.settings."
        ) from error


def _kind(model: "Model") -> str:
    from sentence_transformers import MultiVectorEncoder, SparseEncoder

    if isinstance(model, MultiVectorEncoder):
        return "late-interaction"
    return "sparse" if isinstance(model, SparseEncoder) else "dense"
