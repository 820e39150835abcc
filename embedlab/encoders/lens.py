"""LENS (arXiv:2501.09749): bidirectional Mistral whose output head scores clusters of words.

A token is predicted from the position before it, so a text is pooled one position early: from the
last token in front of it (`<query>`, or BOS) to the last but one; the prediction of EOS is left
out. Then log(1 + relu), maximum, L2. A query is `<instruct>{instruction}\\n<query>{query}`, a
document stands bare (github.com/Yibin-Lei/LENS).
"""

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SparseEncoder
from sentence_transformers.base.modules import Normalize
from torch import nn

from embedlab.encoders.modules.decoder import Decoder
from embedlab.encoders.modules.splade import LexicalHead
from embedlab.encoders.modules.template import Template
from embedlab.encoders.modules.weights import local
from embedlab.errors import UserError

TEMPLATE = Template(start=["<s>"], end=["</s>"], pooled="content")


def recognises(folder: Path, config: dict[str, Any]) -> bool:
    """Whether a folder holds LENS's published layout."""
    return (folder / "lm_head.pth").is_file()


def load(
    source: str | Path,
    *,
    revision: str | None = None,
    device: str | None = None,
    dtype: torch.dtype | None = None,
    max_length: int = 512,
    keep_end: bool = True,
) -> SparseEncoder:
    """A LENS checkpoint: the backbone's weights,
    and the head as a pickled linear layer in lm_head.pth.

    Args:
        source: hub id or local folder.
        revision: hub revision; None takes the newest.
        device: torch device; None lets sentence-transformers choose.
        dtype: dtype of the weights; None is float32.
        max_length: tokens, with BOS and EOS.
        keep_end: a text beyond `max_length` keeps its EOS; False: it loses it, as published.

    Raises:
        UserError: the head is missing or does not fit, or the attention is not bidirectional.
    """
    folder = local(source, revision)
    template = replace(TEMPLATE, max_length=max_length, keep_end=keep_end)
    decoder = Decoder.read(
        folder, template, attention="bidirectional", dtype=dtype, padding_side="left"
    )
    linear = _read_head(folder / "lm_head.pth").to(dtype or torch.float32)
    if linear.in_features != decoder.get_embedding_dimension():
        raise UserError(
            f"The head {folder / 'lm_head.pth'} takes {linear.in_features} dimensions, "
            f"the model has {decoder.get_embedding_dimension()}.",
            "Download the model again.",
        )
    modules: list[nn.Module] = [decoder, LexicalHead.of(linear, shift=True), Normalize()]
    return SparseEncoder(modules=modules, device=device, similarity_fn_name="dot")


def _read_head(file: Path) -> nn.Linear:
    if not file.is_file():
        raise UserError(
            f"There is no {file}: the head of a LENS model.", "Download the model again."
        )
    # The file is a pickled module. Only a linear layer may come out of it:
    # pickles can run any code.
    try:
        with torch.serialization.safe_globals([nn.Linear]):
            head = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        head = None
    if not isinstance(head, nn.Linear):
        raise UserError(
            f"The file {file} holds something other than a linear layer.",
            "Download the model again.",
        )
    return head
