"""Lion (arXiv:2502.15526): bidirectional Llama 3 retrievers,
LoRA adapters on a base adapted by masked prediction.

Sparse: log(1 + relu(max over all tokens of logit / d^(1/4))), BOS included, nothing shifted. Dense:
the mean of the token states, each normalised first. Both by dot product
(github.com/HansiZeng/scaling-retriever).
"""

from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer, SparseEncoder
from sentence_transformers.base.modules import Normalize
from torch import nn

from embedlab.encoders.llm2vec import base_of, merge_adapter
from embedlab.encoders.modules.decoder import Decoder
from embedlab.encoders.modules.pooling import MarkedPooling
from embedlab.encoders.modules.splade import LexicalHead
from embedlab.encoders.modules.template import Template
from embedlab.encoders.modules.weights import local, read_backbone, read_tokenizer, without_head


def load(
    source: str | Path,
    *,
    revision: str | None = None,
    device: str | None = None,
    dtype: torch.dtype | None = None,
    kind: str = "sparse",
    base: str | Path | None = None,
    max_length: int = 512,
) -> SentenceTransformer | SparseEncoder:
    """The base model with the adapter merged in; or a model that is merged already.

    Args:
        source: hub id or local folder of the adapter.
        revision: of `source`.
        device: torch device; None lets sentence-transformers choose.
        dtype: dtype of the weights; None is float32.
        kind: "sparse" (Lion-SP) or "dense" (Lion-DS).
        base: the base model; None takes the one that the adapter names.
        max_length: tokens, with BOS.

    Raises:
        UserError: weights do not fit, peft is missing, or the attention is not bidirectional.
    """
    folder = local(source, revision)
    adapted = (folder / "adapter_config.json").exists()
    base_folder = local(base or base_of(folder)) if adapted else folder
    model = read_backbone(
        base_folder, "bidirectional", dtype=dtype, language_model=kind == "sparse"
    )
    if adapted:
        model = merge_adapter(model, folder)
    tokenizer = read_tokenizer(folder if (folder / "tokenizer.json").exists() else base_folder)
    template = Template(start=[tokenizer.bos_token], max_length=max_length)
    decoder = Decoder(without_head(model), tokenizer, template, attention="bidirectional")
    if kind == "sparse":
        head = LexicalHead.of(model.get_output_embeddings(), scale=model.config.hidden_size**-0.25)
        return SparseEncoder(modules=[decoder, head], device=device, similarity_fn_name="dot")
    pooling = MarkedPooling(decoder.get_embedding_dimension())
    modules: list[nn.Module] = [decoder, Normalize(module_input_name="token_embeddings"), pooling]
    return SentenceTransformer(modules=modules, device=device, similarity_fn_name="dot")
