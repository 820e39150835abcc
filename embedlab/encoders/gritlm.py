"""GritLM's embedding (arXiv:2402.09906): bidirectional Mistral, the mean over what follows
`<|embed|>` and a newline.

A query reads `<|user|>\\n{instruction}\\n<|embed|>\\n{text}`, a document `<|embed|>\\n{text}`
(github.com/ContextualAI/gritlm); BOS and prompt are not pooled. Generation is not offered here.
"""

from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize
from torch import nn

from embedlab.encoders.modules.decoder import Decoder
from embedlab.encoders.modules.pooling import MarkedPooling
from embedlab.encoders.modules.template import Template
from embedlab.encoders.modules.weights import local, read_backbone, read_tokenizer

DOCUMENT = "<|embed|>\n"


def load(
    source: str | Path,
    *,
    max_length: int = 512,
    revision: str | None = None,
    device: str | None = None,
    dtype: torch.dtype | None = None,
) -> SentenceTransformer:
    """Load the published weights as a Mistral without causal mask.

    Args:
        source: hub id or local folder.
        max_length: tokens in all.
        revision: hub revision.
        device: torch device.
        dtype: dtype of the weights; None is float32.

    Raises:
        UserError: weights are missing or misshapen, or the attention is not bidirectional.
    """
    folder = local(source, revision)
    tokenizer = read_tokenizer(folder)
    model = read_backbone(folder, "bidirectional", dtype=dtype)
    template = Template(
        bare=DOCUMENT + "{text}",
        start=[tokenizer.bos_token],
        pooled="content",
        max_length=max_length,
    )
    decoder = Decoder(model, tokenizer, template, attention="bidirectional")
    modules: list[nn.Module] = [
        decoder,
        MarkedPooling(decoder.get_embedding_dimension()),
        Normalize(),
    ]
    return SentenceTransformer(modules=modules, device=device, similarity_fn_name="cosine")
