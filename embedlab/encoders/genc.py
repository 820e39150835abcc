"""GenC, the models of ULLME (arXiv:2408.03402):
bidirectional, the mean over what follows the instruction.

Template and pooling are those of the code that the published weights were made with (commit e8c9332
of github.com/nlp-uoregon/ullme), not of later versions of it. Queries take the prompt
`{instruction}.`, documents `{instruction}. Candidate:` and a newline. A newline follows a query's
prompt too, but there it is pooled.
"""

from pathlib import Path
from typing import NamedTuple

import torch
from sentence_transformers import SentenceTransformer
from torch import nn

from embedlab.encoders.modules.decoder import Decoder
from embedlab.encoders.modules.pooling import MarkedPooling
from embedlab.encoders.modules.template import Template
from embedlab.encoders.modules.weights import local
from embedlab.errors import unknown


class Family(NamedTuple):
    """Start tokens, what stands before and after the input, end tokens."""

    start: list[str]
    before: str
    after: str
    end: list[str]


FAMILIES = {
    "llama-3": Family(
        start=["<|begin_of_text|>"],
        before="<|start_header_id|>user<|end_header_id|>\n\n",
        after="<|eot_id|>\n",
        end=["<|end_of_text|>"],
    ),
    "mistral": Family(start=["<s>"], before="[INST]", after="", end=["</s>"]),
    # Phi-1.5's own vocabulary lacks these marks:
    # they stand as text, and become tokens where they are tokens.
    "phi": Family(start=[], before="<|im_start|>user\n\n", after="\n<|im_end|>", end=[]),
}
# What is written without an instruction.
PROMPTS = {"query": ".", "document": ". Candidate:\n"}


def load(
    source: str | Path,
    *,
    family: str,
    max_length: int = 512,
    keep_end: bool = True,
    revision: str | None = None,
    device: str | None = None,
    dtype: torch.dtype | None = None,
) -> SentenceTransformer:
    """Load the merged weights as a plain transformer.

    Args:
        source: hub id or local folder.
        family: whose chat tokens surround the input, one of FAMILIES.
        max_length: tokens in all.
        keep_end: end tokens stay where the input exceeds `max_length`; False: they are cut, as
            published.
        revision: hub revision.
        device: torch device.
        dtype: dtype of the weights; None is float32.

    Raises:
        UserError: an unknown family, weights or tokens that do not fit, or attention that is not
            bidirectional.
    """
    if family not in FAMILIES:
        raise unknown("family", family, FAMILIES, f"Valid: {', '.join(FAMILIES)}.")
    layout = FAMILIES[family]
    template = Template(
        text=layout.before + "{prompt}{text}" + layout.after,
        bare=layout.before + PROMPTS["query"] + "{text}" + layout.after,
        lead="\n",
        start=layout.start,
        end=layout.end,
        pooled="content",
        max_length=max_length,
        keep_end=keep_end,
    )
    decoder = Decoder.read(
        local(source, revision), template, attention="bidirectional", dtype=dtype
    )
    modules: list[nn.Module] = [decoder, MarkedPooling(decoder.get_embedding_dimension())]
    return SentenceTransformer(
        modules=modules, device=device, similarity_fn_name="cosine", prompts=PROMPTS
    )
