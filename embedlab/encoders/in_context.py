"""In-context embedders (bge-en-icl, LG-ANNA-Embedding arXiv:2506.07438): solved examples in front of the query.

A query reads `<instruct>task\\n<query>text\\n<response>`, after as many examples in the same form, with their
responses, as are given. Documents stay bare. The embedding is the state of EOS.
"""

from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize
from sentence_transformers.sentence_transformer.modules import Pooling

from embedlab.encoders.decoder import Decoder
from embedlab.encoders.template import Template
from embedlab.encoders.weights import local, read_backbone, read_tokenizer

INSTRUCTION = "<instruct>{instruction}\n<query>"


def examples_text(examples: list[dict[str, str]]) -> str:
    """The examples (instruction, query, response) as they precede a query, each followed by a blank line."""
    return "".join(
        INSTRUCTION.replace("{instruction}", e["instruction"]) + f"{e['query']}\n<response>{e['response']}\n\n"
        for e in examples
    )


def load(
    source: str | Path,
    *,
    examples: list[dict[str, str]] | None = None,
    attention: str = "causal",
    max_length: int = 512,
    revision: str | None = None,
    device: str | None = None,
    dtype: torch.dtype | None = None,
) -> SentenceTransformer:
    """Load a model that reads examples in front of its queries.

    Args:
        source: hub id or local folder.
        examples: with the keys instruction, query and response; none is the zero-shot form.
        attention: "causal" or "bidirectional".
        max_length: tokens in all; a long query loses its own end, never `<response>` or EOS.
        revision: hub revision.
        device: torch device.
        dtype: dtype of the weights; None is float32.

    Raises:
        UserError: weights are missing or misshapen, or the attention is not the one asked for.
    """
    folder = local(source, revision)
    tokenizer = read_tokenizer(folder)
    template = Template(
        text="{prompt}{text}\n<response>",
        prefix=examples_text(examples or []),
        start=[tokenizer.bos_token] if tokenizer.bos_token else [],
        end=[tokenizer.eos_token],
        pooled="end",
        max_length=max_length,
    )
    model = read_backbone(folder, attention, dtype=dtype)
    decoder = Decoder(model, tokenizer, template, attention=attention)
    modules = [decoder, Pooling(decoder.get_embedding_dimension(), "lasttoken"), Normalize()]
    return SentenceTransformer(modules=modules, device=device, similarity_fn_name="cosine")
