"""GenC, the models of ULLME (arXiv:2408.03402): bidirectional, the mean over what follows the instruction.

Template and pooling are those of the code that the published weights were made with, not of later versions of it.
Queries take the prompt `{instruction}.`, documents `{instruction}. Candidate:`.
"""

from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer

from embedlab.encoders.decoder import Decoder
from embedlab.encoders.pooling import MarkedPooling
from embedlab.encoders.template import Template
from embedlab.encoders.weights import local
from embedlab.errors import unknown

FAMILIES = {
    "llama-3": {
        "start": ["<|begin_of_text|>"],
        "around": ("<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>\n"),
        "end": ["<|end_of_text|>"],
    },
    "mistral": {"start": ["<s>"], "around": ("[INST]", ""), "end": ["</s>"]},
    "phi": {"start": [], "around": ("<|im_start|>user\n\n", "\n"), "end": ["<|im_end|>"]},
}


def load(
    source: str | Path,
    *,
    family: str,
    max_length: int = 512,
    revision: str | None = None,
    device: str | None = None,
    dtype: torch.dtype | None = None,
) -> SentenceTransformer:
    """Load the merged weights as a plain transformer.

    Args:
        source: hub id or local folder.
        family: whose chat tokens surround the input, one of FAMILIES.
        max_length: tokens in all.
        revision: hub revision.
        device: torch device.
        dtype: dtype of the weights; None is float32.

    Raises:
        UserError: an unknown family, weights or tokens that do not fit, or attention that is not bidirectional.
    """
    if family not in FAMILIES:
        raise unknown("family", family, FAMILIES, f"Valid: {', '.join(FAMILIES)}.")
    layout = FAMILIES[family]
    before, after = layout["around"]
    template = Template(
        text=before + "{prompt}{text}" + after,
        bare=before + "{text}" + after,
        lead="\n",
        start=layout["start"],
        end=layout["end"],
        pooled="content",
        max_length=max_length,
    )
    decoder = Decoder.read(local(source, revision), template, attention="bidirectional", dtype=dtype)
    modules = [decoder, MarkedPooling(decoder.get_embedding_dimension())]
    return SentenceTransformer(modules=modules, device=device, similarity_fn_name="cosine")
