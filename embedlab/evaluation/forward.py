"""One batch through a model: the vectors after each layer that is asked for."""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.sparse import csr_matrix

from embedlab.encoders.layers import layer_outputs, number_of_layers


@torch.inference_mode()
def vectors_of(
    encoder, features: dict, layers: Sequence[int | None], *, store_dtype: str = "float32", sparse: bool = False
) -> dict[int | None, np.ndarray | csr_matrix]:
    """Layer -> vectors `[B, d]` of one batch; None is the model's own output.

    Args:
        features: what the model's first module takes; moved to its device.
        store_dtype: dtype of dense vectors.
        sparse: give CSR matrices.
    """
    features = {
        name: value.to(encoder.device, non_blocking=True) if isinstance(value, torch.Tensor) else value
        for name, value in features.items()
    }
    inner = [layer for layer in layers if layer is not None]
    if not inner:
        return {None: _rows(forward(encoder, features), store_dtype, sparse)}
    numbers = [*inner, *([number_of_layers(encoder)] if None in layers else [])]
    blocks = layer_outputs(encoder, features, numbers)
    return {layer: _rows(block, store_dtype, sparse) for layer, block in zip([*inner, None], blocks, strict=False)}


def forward(encoder, features: dict) -> torch.Tensor:
    """The model's output; pooling runs in float32 where it has no weights of its own in another dtype."""
    first, *rest = encoder
    features = first(features)
    if "token_embeddings" in features and not any(True for module in rest for _ in module.parameters()):
        features["token_embeddings"] = features["token_embeddings"].float()
    for module in rest:
        features = module(features)
    return features["sentence_embedding"]


def _rows(block: torch.Tensor, store_dtype: str, sparse: bool) -> np.ndarray | csr_matrix:
    if sparse:
        from embedlab.encoders.splade import to_csr

        return to_csr(block)
    return block.float().cpu().numpy().astype(store_dtype, copy=False)
