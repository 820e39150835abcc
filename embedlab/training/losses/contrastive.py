"""Contrastive losses: InfoNCE over a score matrix,
over each row's own negatives, and NT-Xent over a whole batch.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from sentence_transformers.util import cos_sim
from torch import nn

from embedlab.encoders.modules.saved import Features


def info_nce(
    queries: torch.Tensor, documents: torch.Tensor, scale: float | torch.Tensor
) -> torch.Tensor:
    """Cross-entropy of `scale` * cosine `[B, N]`, with document i the positive of query i.

    Args:
        queries: `[B, d]`.
        documents: `[N, d]`, N >= B: positives first, then any negatives.
    """
    return F.cross_entropy(
        cos_sim(queries, documents) * scale, torch.arange(len(queries), device=queries.device)
    )


class OwnNegatives(MultipleNegativesRankingLoss):
    """InfoNCE without in-batch negatives (NV-Embed's second stage, arXiv:2405.17428, section 3.2).

    Classes and clusters repeat within a batch there, so another row's positive may be right for
    this one too. Columns: query, positive, and at least one negative.
    """

    def compute_loss_from_embeddings(
        self, embeddings: list[torch.Tensor], labels: torch.Tensor | None = None
    ) -> torch.Tensor:
        if len(embeddings) < 3:
            raise ValueError("in_batch = false needs a column of negatives")
        query, *documents = embeddings
        scores = torch.stack(
            [self.similarity_fct(query, document).diagonal() for document in documents], dim=1
        )
        return F.cross_entropy(
            scores * self.scale, torch.zeros(len(query), dtype=torch.long, device=query.device)
        )


class Mirror(nn.Module):
    """Mirror-BERT's loss (arXiv:2104.08027, section 2):
    NT-Xent on cosine over both views of every text.

    Each of the 2B vectors has one softmax: its other view against the 2B - 2 vectors of other
    texts.

    Args:
        model: any dense model; columns are the two views.
        temperature: of the cosines; 0.04 for sentences, 0.2 for words.
    """

    def __init__(self, model: SentenceTransformer, temperature: float = 0.04):
        super().__init__()
        self.model = model
        self.temperature = temperature

    def forward(
        self, sentence_features: Sequence[Features], labels: torch.Tensor | None = None
    ) -> torch.Tensor:
        views = [self.model(dict(features))["sentence_embedding"] for features in sentence_features]
        return self.compute_loss_from_embeddings(views)

    def compute_loss_from_embeddings(
        self, embeddings: list[torch.Tensor], labels: torch.Tensor | None = None
    ) -> torch.Tensor:
        vectors = torch.cat(embeddings).float()
        texts = torch.arange(len(embeddings[0]), device=vectors.device).repeat(len(embeddings))
        return nt_xent(cos_sim(vectors, vectors) / self.temperature, texts)


def nt_xent(
    logits: torch.Tensor, labels: torch.Tensor, mined: torch.Tensor | None = None
) -> torch.Tensor:
    """NT-Xent (SimCLR, arXiv:2002.05709): for each pair of vectors with one label, a softmax of
    their logit against those of the first vector and all vectors of other labels; the mean over the
    pairs, in both directions.

    Args:
        logits: `[N, N]`, similarity / temperature.
        labels: `[N]`.
        mined: bool `[N, N]`, the pairs, positive and negative, that count; None counts all. Without
            any positive or without any negative pair the loss is 0.
    """
    same = labels[:, None] == labels
    mined = torch.ones_like(same) if mined is None else mined
    positive = same & mined & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    negative = ~same & mined
    if not positive.any() or not negative.any():
        return logits.sum() * 0
    others = logits.masked_fill(~negative, -torch.inf).logsumexp(-1, keepdim=True)
    return (torch.logaddexp(logits, others) - logits)[positive].mean()
