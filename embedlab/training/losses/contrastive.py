"""InfoNCE over a score matrix, and over each row's own negatives alone."""

import torch
import torch.nn.functional as F
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from sentence_transformers.util import cos_sim


def info_nce(queries: torch.Tensor, documents: torch.Tensor, scale: float | torch.Tensor) -> torch.Tensor:
    """Cross-entropy of `scale` * cosine `[B, N]`, with document i the positive of query i.

    Args:
        queries: `[B, d]`.
        documents: `[N, d]`, N >= B: positives first, then any negatives.
    """
    return F.cross_entropy(cos_sim(queries, documents) * scale, torch.arange(len(queries), device=queries.device))


class OwnNegatives(MultipleNegativesRankingLoss):
    """InfoNCE without in-batch negatives (NV-Embed's second stage, arXiv:2405.17428, section 3.2).

    Classes and clusters repeat within a batch there, so another row's positive may be right for this one too.
    Columns: query, positive, and at least one negative.
    """

    def compute_loss_from_embeddings(self, embeddings: list[torch.Tensor], labels=None) -> torch.Tensor:
        if len(embeddings) < 3:
            raise ValueError("in_batch = false needs a column of negatives")
        query, *documents = embeddings
        scores = torch.stack([self.similarity_fct(query, document).diagonal() for document in documents], dim=1)
        return F.cross_entropy(scores * self.scale, torch.zeros(len(query), dtype=torch.long, device=query.device))
