"""KaLM-Embedding V2 and V2.5 (arXiv:2506.20923):
bidirectional Qwen2, the mean over every token, L2.
"""

from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize
from sentence_transformers.sentence_transformer.modules import Pooling
from torch import nn

from embedlab.encoders.modules.decoder import Decoder
from embedlab.encoders.modules.template import Template, default_marks
from embedlab.encoders.modules.weights import local, read_backbone, read_tokenizer


def load(
    source: str | Path,
    *,
    max_length: int = 512,
    revision: str | None = None,
    device: str | None = None,
    dtype: torch.dtype | None = None,
) -> SentenceTransformer:
    """Load the published weights as a Qwen2 without causal mask;
    start and end tokens are the tokenizer's own.

    Args:
        source: hub id or local folder.
        max_length: tokens in all; 512 as evaluated, the model takes 32768.
        revision: hub revision.
        device: torch device.
        dtype: dtype of the weights; None is float32.

    Raises:
        UserError: weights are missing or misshapen, or the attention is not bidirectional.
    """
    folder = local(source, revision)
    tokenizer = read_tokenizer(folder)
    model = read_backbone(folder, "bidirectional", dtype=dtype)
    template = Template(**default_marks(tokenizer), max_length=max_length)
    decoder = Decoder(model, tokenizer, template, attention="bidirectional")
    modules: list[nn.Module] = [
        decoder,
        Pooling(decoder.get_embedding_dimension(), "mean"),
        Normalize(),
    ]
    return SentenceTransformer(modules=modules, device=device, similarity_fn_name="cosine")
