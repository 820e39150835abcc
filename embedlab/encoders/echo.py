"""Echo embeddings (arXiv:2402.15449): the text twice, and only its second copy is pooled.

In a causal model no token sees what follows. In the second copy every token has seen the whole
first one. The template language is that of github.com/jakespringer/echo-embeddings:

    {piece}     pooled              %%text%%    the text
    {!piece}    not pooled          %%prompt%%  the instruction
    anything outside braces is a piece too, and not pooled

Pieces are cut into tokens one by one, without special tokens: BOS and EOS stand in the template.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from sentence_transformers import SentenceTransformer
from torch import nn
from transformers import PreTrainedTokenizerBase

from embedlab.encoders.modules.decoder import Decoder
from embedlab.encoders.modules.pooling import MarkedPooling
from embedlab.encoders.modules.saved import Features
from embedlab.encoders.modules.template import Row, pieces, strings
from embedlab.encoders.modules.weights import local
from embedlab.errors import UserError, unknown

QUERY = "<s>Instruct:{!%%prompt%%,}\nQuery:{!%%text%%}\nQuery again:{%%text%%}{</s>}"
DOCUMENT = "<s>Document:{!%%text%%}\nDocument again:{%%text%%}{</s>}"
POOLING = ("mean", "last")


class Piece(NamedTuple):
    """A stretch of a template; `pooled` says whether its tokens are."""

    text: str
    pooled: bool


def parse(template: str) -> list[Piece]:
    """The pieces of a template, in order.

    Raises:
        UserError: braces do not match, a variable is unknown, or no piece is pooled.
    """
    # Splitting at groups gives text, group, text, group, ..., text.
    parts = re.split(r"\{(.*?)\}", template, flags=re.DOTALL)
    found = [
        Piece(part.removeprefix("!") if i % 2 else part, bool(i % 2) and not part.startswith("!"))
        for i, part in enumerate(parts)
        if part
    ]
    language = (
        "In an echo template {...} is pooled, {!...} is not; variables are %%text%% and %%prompt%%."
    )
    if any("{" in text or "}" in text for text, _ in found):
        raise UserError(f"The braces of the template {template!r} do not match.", language)
    if wrong := set(re.findall(r"%%(.*?)%%", template)) - {"text", "prompt"}:
        raise UserError(
            f"The template {template!r} has the unknown variable %%{min(wrong)}%%.", language
        )
    if not any(piece.pooled for piece in found):
        raise UserError(f"The template {template!r} pools nothing.", language)
    return found


@dataclass
class EchoTemplate:
    """Both templates of an echo model.

    A query, or any text with an instruction, follows `query`; a text without one follows
    `document`.
    """

    query: str = QUERY
    document: str = DOCUMENT
    pooling: str = "mean"  # over all pooled tokens, or the "last" of them
    max_length: int = 300  # tokens of each piece

    def __post_init__(self) -> None:
        parse(self.query), parse(self.document)
        if self.pooling not in POOLING:
            raise unknown("pooling", self.pooling, POOLING, f"Valid: {', '.join(POOLING)}.")

    def spans(
        self,
        tokenizer: PreTrainedTokenizerBase,
        texts: Sequence[object],
        prompt: str | None = None,
        query: bool = False,
    ) -> list[tuple[list[int], list[int]]]:
        """Per text its token ids, and as many marks: 1 for a pooled token, 0 for another.

        Raises:
            UserError: a text is no string.
        """
        template = parse(self.query if query or prompt else self.document)
        filled = [
            [
                (_fill(piece.text, text=text, prompt=prompt or ""), piece.pooled)
                for piece in template
            ]
            for text in strings(texts)
        ]
        distinct = list(dict.fromkeys(piece for row in filled for piece, _ in row))
        ids = dict(zip(distinct, pieces(tokenizer, distinct), strict=True)) if distinct else {}
        spans = []
        for row in filled:
            cut = [(ids[piece][: self.max_length], pooled) for piece, pooled in row]
            marks = [int(pooled) for tokens, pooled in cut for _ in tokens]
            if self.pooling == "last" and 1 in marks:
                last = len(marks) - 1 - marks[::-1].index(1)
                marks = [int(i == last) for i in range(len(marks))]
            spans.append(([token for tokens, _ in cut for token in tokens], marks))
        return spans

    def rows(
        self, tokenizer: PreTrainedTokenizerBase, texts: Sequence[object], prompt: str | None = None
    ) -> list[Row]:
        return [Row(ids, 0, 0) for ids, _ in self.spans(tokenizer, texts, prompt)]


class EchoDecoder(Decoder):
    """A decoder whose pooling_mask marks the second copy."""

    template_class = EchoTemplate
    template: EchoTemplate

    def preprocess(
        self,
        inputs: Sequence[object],
        prompt: str | None = None,
        task: str | None = None,
        **kwargs: Any,
    ) -> Features:
        spans = self.template.spans(self.tokenizer, inputs, prompt, query=task == "query")
        features = self.pad([Row(ids, 0, 0) for ids, _ in spans])
        tokens = features["attention_mask"].bool()
        features["pooling_mask"][tokens] = torch.tensor(
            [mark for _, marks in spans for mark in marks]
        )
        return features


def read(
    source: str | Path,
    template: EchoTemplate,
    *,
    revision: str | None = None,
    dtype: torch.dtype | None = None,
    language_model: bool = False,
) -> EchoDecoder:
    """The causal backbone of an echo model, padded with `<unk>`
    where its tokenizer has no pad token.
    """
    decoder = EchoDecoder.read(
        local(source, revision), template, dtype=dtype, language_model=language_model
    )
    if decoder.tokenizer.pad_token is None:
        decoder.tokenizer.pad_token = decoder.tokenizer.unk_token
    return decoder


def load(
    source: str | Path,
    *,
    revision: str | None = None,
    device: str | None = None,
    dtype: torch.dtype | None = None,
    **template: Any,
) -> SentenceTransformer:
    """An echo model from a causal checkpoint.

    Args:
        source: hub id or local folder.
        template: fields of `EchoTemplate`: query, document, pooling ("mean" or "last"), max_length.

    Raises:
        UserError: a template that cannot be read, or weights that do not fit.
    """
    decoder = read(source, EchoTemplate(**template), revision=revision, dtype=dtype)
    modules: list[nn.Module] = [decoder, MarkedPooling(decoder.get_embedding_dimension())]
    return SentenceTransformer(modules=modules, device=device, similarity_fn_name="cosine")


def _fill(piece: str, **values: str) -> str:
    """One pass over the piece, so that a text which contains %%prompt%% stays what it is."""
    return re.sub(r"%%(.*?)%%", lambda variable: values[variable[1]], piece)
