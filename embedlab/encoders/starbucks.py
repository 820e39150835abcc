"""Starbucks (arXiv:2410.13230):
Matryoshka models trained on the diagonal of layers and dimensions only.

Retrieval: CLS of layer n, its first d dimensions, dot product, no normalisation at any point;
queries of 32 and
documents of 196 tokens. Semantic textual similarity: mean of layer n, cosine. BERT is post-norm, so
layer n needs no further norm (github.com/ielab/Starbucks).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer

from embedlab.encoders import plain
from embedlab.encoders.modules.matryoshka import View, check_views, declare_views
from embedlab.errors import unknown

# Demi, Short, Tall, Grande, Venti, Trenta.
PAIRS = [(2, 32), (4, 64), (6, 128), (8, 256), (10, 512), (12, 768)]

_TASKS: dict[str, dict[str, Any]] = {
    "retrieval": {
        "pooling": "cls",
        "similarity": "dot",
        "query_length": 32,
        "document_length": 196,
    },
    "sts": {"pooling": "mean", "similarity": "cosine"},
}


def load(
    source: str | Path,
    *,
    revision: str | None = None,
    device: str | None = None,
    dtype: torch.dtype | None = None,
    task: str = "retrieval",
    pairs: Sequence[View] = PAIRS,
) -> SentenceTransformer:
    """A Starbucks checkpoint, which is a plain BERT;
    `modules.matryoshka.encode_views` gives its sizes.

    Args:
        source: hub id or local folder.
        task: "retrieval" or "sts": the pooling and the similarity.
        pairs: the (layer, dimension) pairs it was trained for.

    Raises:
        UserError: an unknown task, or pairs that the checkpoint does not have.
    """
    if task not in _TASKS:
        raise unknown("task of a Starbucks model", task, _TASKS, f"Valid: {', '.join(_TASKS)}.")
    model = plain.load(source, revision=revision, device=device, dtype=dtype, **_TASKS[task])
    check_views(model, pairs)
    declare_views(model, pairs)
    return model
