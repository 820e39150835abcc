"""Embeddings of a causal language model as it is, nothing trained: one folder, six forms.

mean            the mean over the text's tokens, causal
last            the text's last token
bidirectional   the mean, every token seeing all others (LLM2Vec's first step, arXiv:2404.05961);
                `unmask` removes the causal mask from groups of layers alone ("Looking Right is
                Sometimes Right", first called "Do Not (Always) Look Right", arXiv:2401.14556)
echo            the text twice, the mean over its second copy (arXiv:2402.15449, section 3)
eol             the last token of: This sentence : "TEXT" means in one word:" (PromptEOL,
                arXiv:2307.16645; github.com/kongds/scaling_sentemb, evaluation.py)
special-token   a special token behind the text, the end token if none is named: what RepLLaMA
                (arXiv:2310.08319) trains

Start tokens that the tokenizer puts in front are read and not pooled, nor is an instruction.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from torch import nn
from transformers import PreTrainedTokenizerBase

from embedlab.bases.folders import require_language_model
from embedlab.encoders.echo import EchoDecoder, EchoTemplate
from embedlab.encoders.modules.attention import Attention
from embedlab.encoders.modules.decoder import Decoder
from embedlab.encoders.modules.pooling import MarkedPooling
from embedlab.encoders.modules.template import Layout, Template, default_marks, pieces
from embedlab.encoders.modules.weights import local, read_backbone, read_tokenizer
from embedlab.errors import UserError, unknown

FORMS = ("mean", "last", "bidirectional", "echo", "eol", "special-token")
_EOL = 'This sentence : "{text}" means in one word:"'
_ECHO = "Rewrite the sentence:{!_TEXT_}, rewritten sentence:{_TEXT_}"


@dataclass
class QuotedTemplate(Template):
    """A text in quotation marks, made to stand in them as PromptEOL's code does."""

    def _text(self, tokenizer: PreTrainedTokenizerBase, text: str, limit: int) -> str:
        text = super()._text(tokenizer, text, limit)
        if text and text[-1] not in ".?\"'":
            text += "."
        text = text.replace('"', "'")
        return text[:-1] + "." if text.endswith("?") else text


class QuotedDecoder(Decoder):
    """A decoder that reads a quoted text."""

    template_class = QuotedTemplate


def load(
    source: str | Path,
    *,
    form: str = "mean",
    unmask: str | int = "",
    token: str = "",
    max_length: int = 512,
    revision: str | None = None,
    device: str | None = None,
    dtype: torch.dtype | None = None,
) -> SentenceTransformer:
    """A SentenceTransformer of a causal language model, without training.

    Args:
        source: hub id, local folder, or base.
        form: one of FORMS.
        unmask: for "bidirectional": a digit for each of as many equal groups of layers, the first
            layers first; 1 removes the causal mask. "0011" does so in the upper half. Empty: all.
        token: for "special-token": another token of the vocabulary than the end token.
        max_length: tokens in all; with "echo" those of each copy.
        revision: hub revision; None takes the newest.
        device: torch device; None lets sentence-transformers choose.
        dtype: dtype of the weights; None is float32.

    Raises:
        UserError: an unknown form, a setting of another form, or a model that is no causal language
            model.
    """
    if form not in FORMS:
        raise unknown("form", form, FORMS, f"Valid: {', '.join(FORMS)}.")
    for name, value, of in (("unmask", unmask, "bidirectional"), ("token", token, "special-token")):
        if value != "" and form != of:
            raise UserError(
                f"{name} is a setting of {of}, not of {form}.", f"Leave it out, or take {of}."
            )
    folder = local(source, revision)
    require_language_model(folder, str(source))
    tokenizer = read_tokenizer(folder)
    start = default_marks(tokenizer)["start"]
    attention: Attention = "causal"
    kind: type[Decoder]
    template: Layout
    if form == "echo":
        kind, template = EchoDecoder, echo_template(tokenizer, start, max_length)
    else:
        quoted = form == "eol"
        kind, layout = (QuotedDecoder, QuotedTemplate) if quoted else (Decoder, Template)
        template = layout(start=start, max_length=max_length, **_layout(form, token, tokenizer))
        if form == "bidirectional":
            attention = unmasked(str(unmask), folder)
    model = read_backbone(folder, attention, dtype=dtype)
    decoder = kind(model, tokenizer, template, attention=attention)
    modules: list[nn.Module] = [decoder, MarkedPooling(decoder.get_embedding_dimension())]
    return SentenceTransformer(modules=modules, device=device, similarity_fn_name="cosine")


def _layout(form: str, token: str, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """What of the template is the form's own. "end" without end tokens is the last token."""
    if form == "eol":
        return {"text": _EOL.replace("{text}", "{prompt}{text}"), "bare": _EOL, "pooled": "end"}
    if form == "special-token":
        if not (token or tokenizer.eos_token):
            raise UserError(
                "The tokenizer has no end token.", "Name another one: special-token(BASE)?token=..."
            )
        return {"end": [token or tokenizer.eos_token], "pooled": "end"}
    return {"pooled": "end" if form == "last" else "content"}


def echo_template(
    tokenizer: PreTrainedTokenizerBase, start: list[str], max_length: int
) -> EchoTemplate:
    """The paper's zero-shot prompt, "Rewrite the sentence: x, rewritten sentence: x".

    Each piece is cut into tokens alone; a blank stands before the text where the tokenizer puts
    none there by itself.
    """
    own = pieces(tokenizer, ["a", " a"])
    blank = "" if tokenizer.convert_ids_to_tokens(own[0])[0].startswith("▁") else " "
    lead = "".join(start)
    with_text = lead + _ECHO.replace("_TEXT_", f"{blank}%%text%%")
    with_prompt = with_text.replace("{!", "{!" + blank + "%%prompt%%", 1)
    return EchoTemplate(query=with_prompt, document=with_text, max_length=max_length)


def unmasked(groups: str, folder: Path) -> Attention:
    """The attention of each layer, from a digit for each group of layers; "bidirectional" without.

    Raises:
        UserError: other digits than 0 and 1, or more groups than layers.
    """
    if not groups:
        return "bidirectional"
    from transformers import AutoConfig

    layers = AutoConfig.from_pretrained(folder).num_hidden_layers
    if set(groups) - {"0", "1"} or len(groups) > layers:
        raise UserError(
            f"unmask={groups} names no groups of layers.",
            f"Give a 0 or 1 for each of up to {layers} groups, as in unmask=0011.",
        )
    of = [groups[layer * len(groups) // layers] for layer in range(layers)]
    return ["bidirectional" if digit == "1" else "causal" for digit in of]
