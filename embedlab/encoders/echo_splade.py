"""Echo-Mistral-SPLADE (arXiv:2408.11119):
a sparse vector from the logits over the second copy of the text.

The paper names the backbone (Mistral-7B, causal), the echo and the SPLADE head; its template, the
lengths and whether logits are shifted it leaves open. Here: the echo templates with the text of the
second copy alone pooled (neither template words nor EOS), logits as they stand. No weights are
public: the method lives by training.
"""

from pathlib import Path

import torch
from sentence_transformers import SparseEncoder

from embedlab.encoders.echo import DOCUMENT, QUERY, EchoTemplate, read
from embedlab.encoders.modules.splade import LexicalHead, words_of


def load(
    source: str | Path,
    *,
    revision: str | None = None,
    device: str | None = None,
    dtype: torch.dtype | None = None,
    query: str = QUERY.replace("{</s>}", "{!</s>}"),
    document: str = DOCUMENT.replace("{</s>}", "{!</s>}"),
    max_length: int = 300,
    shift: bool = False,
    retie: bool = False,
) -> SparseEncoder:
    """A sparse encoder from any causal language model, trained for this or to be.

    Args:
        source: hub id or local folder.
        query: echo template of queries.
        document: echo template of documents.
        max_length: tokens of each piece.
        shift: read each token's logits at the position before it.
        retie: start from the input embeddings as output embeddings, so that each token is a term of
            its own at first, not a guess at the next one.

    Raises:
        UserError: a template that cannot be read, or weights that do not fit.
    """
    template = EchoTemplate(query, document, max_length=max_length)
    decoder = read(source, template, revision=revision, dtype=dtype, language_model=True)
    head = LexicalHead.of(words_of(decoder.model, retie), shift=shift)
    head.retied = retie
    decoder.model = decoder.backbone
    return SparseEncoder(modules=[decoder, head], device=device, similarity_fn_name="dot")
