"""Any model that sentence-transformers loads by itself: dense, sparse, multi-vector, cross-encoder."""

from pathlib import Path

import torch

from embedlab.encoders import trust  # noqa: F401 - saved models load by SentenceTransformer(path)


def load(
    source: str | Path,
    *,
    revision: str | None = None,
    device: str | None = None,
    dtype: torch.dtype | None = None,
    kind: str = "dense",
    **settings,
):
    """Load `source` with the sentence-transformers class for its kind.

    Args:
        source: hub id or local folder.
        revision: hub revision; None takes the newest.
        device: torch device; None lets sentence-transformers choose.
        dtype: dtype of the weights; None keeps float32.
        kind: "dense", "sparse", "multi-vector" or "cross".
        settings: passed on to the class, e.g. `config_kwargs`.
    """
    import sentence_transformers as st

    kinds = {
        "dense": st.SentenceTransformer,
        "sparse": st.SparseEncoder,
        "multi-vector": st.MultiVectorEncoder,
        "cross": st.CrossEncoder,
    }
    model_kwargs = {"dtype": dtype or torch.float32, **settings.pop("model_kwargs", {})}
    return kinds[kind](str(source), revision=revision, device=device, model_kwargs=model_kwargs, **settings)
