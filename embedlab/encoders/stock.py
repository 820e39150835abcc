"""Any model that sentence-transformers loads by itself:
dense, sparse, multi-vector, cross-encoder.
"""

from pathlib import Path
from typing import Any

import torch
from sentence_transformers.base.model import BaseModel

from embedlab.encoders import trust  # noqa: F401 - saved models load by SentenceTransformer(path)
from embedlab.errors import UserError


def load(
    source: str | Path,
    *,
    revision: str | None = None,
    device: str | None = None,
    dtype: torch.dtype | None = None,
    kind: str = "dense",
    max_length: int | None = None,
    include_prompt: bool = True,
    **settings: Any,
) -> BaseModel:
    """Load `source` with the sentence-transformers class for its kind.

    Args:
        source: hub id or local folder.
        revision: hub revision; None takes the newest.
        device: torch device; None lets sentence-transformers choose.
        dtype: dtype of the weights; None keeps float32.
        kind: "dense", "sparse", "multi-vector" or "cross".
        max_length: tokens that it reads of a text; None keeps its own limit.
        include_prompt: whether the tokens of the prompt count in the pooling; false says that they
            do not.
        settings: passed on to the class, e.g. `config_kwargs`.
    """
    import sentence_transformers as st

    kinds: dict[str, type[BaseModel]] = {
        "dense": st.SentenceTransformer,
        "sparse": st.SparseEncoder,
        "multi-vector": st.MultiVectorEncoder,
        "cross": st.CrossEncoder,
    }
    model_kwargs = {"dtype": dtype or torch.float32, **settings.pop("model_kwargs", {})}
    model = kinds[kind](
        str(source), revision=revision, device=device, model_kwargs=model_kwargs, **settings
    )
    if max_length:
        model.max_seq_length = max_length
    if not include_prompt:
        if not isinstance(model, st.SentenceTransformer | st.SparseEncoder):
            raise UserError(
                f"A model of the kind {kind} does not pool its prompt.", "Leave include_prompt out."
            )
        model.set_pooling_include_prompt(False)
    return model
