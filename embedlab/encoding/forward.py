"""One batch through a model: the vectors after each layer that is asked for,
as the model's own `encode` has them.
"""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_matrix
from sentence_transformers import MultiVectorEncoder, SentenceTransformer, SparseEncoder
from sentence_transformers.sentence_transformer.modules.tokenizer import WordTokenizer
from sentence_transformers.util import select_max_active_dims, truncate_embeddings
from torch import nn

from embedlab.encoders.modules.layers import layer_outputs, number_of_layers
from embedlab.encoding.cost import LayerTimes
from embedlab.errors import UserError
from embedlab.models.facts.model_facts import cuts
from retrievers.token_vectors import Rows, TokenVectors

TOKEN_BITS = {"float32": 32, "float16": 16, "int8": 8}  # by the store's dtype
_ENCODE = ("encode", "encode_query", "encode_document", "_inference")


@torch.inference_mode()
def vectors_of(
    encoder: SentenceTransformer,
    features: dict[str, Any],
    layers: Sequence[int | None],
    *,
    role: str = "text",
    store_dtype: str = "float32",
    sparse: bool = False,
    tokens: bool = False,
    times: LayerTimes | None = None,
) -> dict[int | None, Rows]:
    """Layer -> vectors `[B, d]` of one batch; None is the model's own output.

    Args:
        features: what the model's first module takes; moved to its device.
        role: "query", "document" or "text", told to the modules that ask for it.
        store_dtype: dtype of dense vectors.
        sparse: give CSR matrices.
        tokens: give the vectors of all tokens that a multi-vector encoder scores, or a dense one
            pools.
        times: told where the time of several layers went.
    """
    began = time.perf_counter()
    features = {
        name: (
            value.to(encoder.device, non_blocking=True)
            if isinstance(value, torch.Tensor)
            else value
        )
        for name, value in features.items()
    }
    if tokens:
        return {None: _tokens(outputs(encoder, features, role), store_dtype)}
    inner = [layer for layer in layers if layer is not None]
    if not inner:
        return {None: _rows(encoder, forward(encoder, features, role), store_dtype, sparse)}
    numbers = [*inner, *([number_of_layers(encoder)] if None in layers else [])]
    marks: list[float] = []
    blocks = layer_outputs(
        encoder, features, numbers, after_backbone=lambda: marks.append(time.perf_counter())
    )
    vectors: dict[int | None, Rows] = {
        layer: _rows(encoder, block, store_dtype, sparse)
        for layer, block in zip([*inner, None], blocks, strict=False)
    }
    if times is not None:
        heads = time.perf_counter() - marks[0]
        times.add(LayerTimes(marks[0] - began, heads, number_of_layers(encoder), len(numbers)))
    return vectors


def forward(
    encoder: SentenceTransformer, features: dict[str, Any], role: str = "text"
) -> torch.Tensor:
    """The model's vectors `[B, d]`."""
    output: torch.Tensor = outputs(encoder, features, role)["sentence_embedding"]
    return output


def outputs(
    encoder: SentenceTransformer, features: dict[str, Any], role: str = "text"
) -> dict[str, torch.Tensor]:
    """All that the model's modules leave; pooling runs in float32
    where it has no weights of its own in another dtype.
    """
    arguments: dict[str, Any] = {"task": role} if role in ("query", "document") else {}
    if max_active := cuts(encoder).get("max_active_dims"):
        arguments["max_active_dims"] = max_active
    first, *rest = encoder
    if any(True for module in rest for _ in module.parameters()):
        output: dict[str, torch.Tensor] = encoder(features, **arguments)
        return output
    hook = first.register_forward_hook(_in_float32)
    try:
        pooled: dict[str, torch.Tensor] = encoder(features, **arguments)
        return pooled
    finally:
        hook.remove()


def padding_shows(encoder: SentenceTransformer) -> bool:
    """Whether a text's vector changes when a longer one pads its batch,
    beyond rounding: measured, in each role.

    It does where a module takes in what the mask hides (a CNN over tokens), or counts positions
    from the left of the padding.
    """
    words = list("abcdefghijklmnopqrstuvwxyz")
    tokenizer = getattr(encoder[0], "tokenizer", None)
    if isinstance(tokenizer, WordTokenizer):  # which knows no other words
        # The wrapper of a transformer's tokenizer has a `get_vocab` that cannot be called
        # (sentence-transformers 6.2).
        vocabulary: Any = getattr(tokenizer, "tokenizer", tokenizer)
        words = sorted(vocabulary.get_vocab())[-26:]
    short, long = " ".join(words[:2]), " ".join(words)
    noise = 1e-3 if encoder.dtype in (None, torch.float32, torch.float64) else 5e-2
    for role in ("query", "document"):
        try:
            alone, padded = (_of_first(encoder, texts, role) for texts in ([short], [short, long]))
        except (ValueError, torch.OutOfMemoryError, MemoryError):
            # A Router without this role; encoding will say what.
            continue
        if np.linalg.norm(alone - padded) > noise * np.linalg.norm(alone):
            return True
    return False


def _of_first(encoder: SentenceTransformer, texts: list[str], role: str) -> np.ndarray:
    """The vector of the first text, `[d]` or `[1, |V|]`, or those of its tokens `[t, d]`."""
    tokens = isinstance(encoder, MultiVectorEncoder)
    features = encoder.preprocess(texts, task=role)
    vectors = vectors_of(encoder, features, [None], role=role, tokens=tokens)[None]
    if isinstance(vectors, TokenVectors):
        return vectors[0]
    return np.asarray(vectors[0] if isinstance(vectors, np.ndarray) else vectors[0].toarray())


def refuse_own_encode(encoder: SentenceTransformer, name: str) -> None:
    """Refuse a model whose class replaces `encode`: its modules, which run here, are then not all
    there is to it.

    Raises:
        UserError: names the method that is replaced.
    """
    kinds = (SparseEncoder, MultiVectorEncoder)
    base = next((kind for kind in kinds if isinstance(encoder, kind)), SentenceTransformer)
    for method in _ENCODE:
        if method in vars(encoder) or getattr(type(encoder), method, None) is not getattr(
            base, method
        ):
            raise UserError(
                f"{name} has a method {method} of its own, which embedlab does not run.",
                "Put what it does into a module: the modules of a model are run as they are.",
            )


def _in_float32(_module: nn.Module, _inputs: object, features: dict[str, Any]) -> dict[str, Any]:
    if "token_embeddings" in features:
        features["token_embeddings"] = features["token_embeddings"].float()
    return features


def _tokens(output: dict[str, torch.Tensor], store_dtype: str) -> TokenVectors:
    """The vectors of the tokens that a batch's mask leaves."""
    if "cu_seq_lens_q" in output:  # texts end to end
        ends = output["cu_seq_lens_q"].cpu().numpy().astype(np.int64)
        flat = output["token_embeddings"][0].float().cpu().numpy()
        return TokenVectors(flat, ends).coded(TOKEN_BITS[store_dtype])
    mask = output["attention_mask"].bool()
    offsets = np.zeros(len(mask) + 1, dtype=np.int64)
    np.cumsum(mask.sum(dim=1).cpu().numpy(), out=offsets[1:])
    vectors = TokenVectors(output["token_embeddings"][mask].float().cpu().numpy(), offsets)
    return vectors.coded(TOKEN_BITS[store_dtype])


def _rows(
    encoder: SentenceTransformer, block: torch.Tensor, store_dtype: str, sparse: bool
) -> np.ndarray | csr_matrix:
    cut = cuts(encoder)
    if sparse:
        from embedlab.encoders.modules.splade import to_csr

        return to_csr(select_max_active_dims(block, cut.get("max_active_dims")))
    block = truncate_embeddings(block, cut.get("truncate_dim"))
    return block.float().cpu().numpy().astype(store_dtype, copy=False)
