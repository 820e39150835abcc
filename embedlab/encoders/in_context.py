"""In-context embedders (bge-en-icl, LG-ANNA-Embedding arXiv:2506.07438):
solved examples in front of the query.

A query reads `<instruct>task\\n<query>text\\n<response>`, after as many examples in the same form,
with their responses, as are given. Documents stay bare. The embedding is the state of EOS. Cut and
order of the steps are those of github.com/FlagOpen/FlagEmbedding (7ed43d6): the limit holds for
instruction and query, examples come on top.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize
from sentence_transformers.sentence_transformer.modules import Pooling
from torch import nn
from transformers import PreTrainedTokenizerBase

from embedlab.encoders.modules.decoder import Decoder
from embedlab.encoders.modules.template import (
    CHARACTERS_PER_TOKEN,
    Row,
    Template,
    pieces,
    strings,
    token_ids,
)
from embedlab.encoders.modules.weights import local, read_backbone, read_tokenizer
from embedlab.errors import UserError

INSTRUCTION = "<instruct>{instruction}\n<query>"
RESPONSE = "\n<response>"


def examples_text(examples: list[dict[str, str]]) -> str:
    """The examples (instruction, query, response)
    as they precede a query, each followed by a blank line.
    """
    return "".join(
        INSTRUCTION.replace("{instruction}", e["instruction"])
        + f"{e['query']}\n<response>{e['response']}\n\n"
        for e in examples
    )


@dataclass
class InContextTemplate(Template):
    """Queries are cut, turned back into text,
    and only then put between examples and `<response>`, as published.

    The way through text is not neutral: behind a special token it leaves one more blank, and a
    character that was cut within its bytes makes the text longer; so there is a second limit.
    """

    def rows(
        self, tokenizer: PreTrainedTokenizerBase, texts: Sequence[object], prompt: str | None = None
    ) -> list[Row]:
        if not prompt:
            return super().rows(tokenizer, texts)
        whole_texts = strings(texts)
        start, end = token_ids(tokenizer, self.start), token_ids(tokenizer, self.end)
        instruction, examples, response = pieces(tokenizer, [prompt, self.prefix, RESPONSE])
        room = self.max_length - len(start) - len(end) - len(response)
        if len(instruction) >= room:
            raise UserError(
                f"The instruction takes {len(instruction)} tokens of {self.max_length}: no room for"
                " a text.",
                "Shorten the instruction, or raise the maximal length.",
            )
        limit = CHARACTERS_PER_TOKEN * self.max_length
        asked = pieces(tokenizer, [prompt + text[:limit] for text in whole_texts])
        queries = tokenizer.batch_decode([ids[:room] for ids in asked])
        bodies = pieces(tokenizer, [self.prefix + query + RESPONSE for query in queries])
        room = (
            (len(examples) + len(response) + self.max_length + 8) // 8 * 8
            + 8
            - len(start)
            - len(end)
        )
        bodies = [ids[:room] for ids in bodies]
        head = len(start) + len(examples) + len(instruction)
        return [
            Row([*start, *ids, *end], len(start) + len(ids), head, len(start)) for ids in bodies
        ]


class InContextDecoder(Decoder):
    """A decoder that reads examples in front of its queries."""

    template_class = InContextTemplate


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
        max_length: tokens without the examples; a long query loses its own end, never `<response>`
            or EOS.
        revision: hub revision.
        device: torch device.
        dtype: dtype of the weights; None is float32.

    Raises:
        UserError: weights are missing or misshapen, or the attention is not the one asked for.
    """
    folder = local(source, revision)
    tokenizer = read_tokenizer(folder)
    template = InContextTemplate(
        text="{prompt}{text}" + RESPONSE,
        prefix=examples_text(examples or []),
        start=[tokenizer.bos_token] if tokenizer.bos_token else [],
        end=[tokenizer.eos_token],
        pooled="end",
        max_length=max_length,
    )
    model = read_backbone(folder, attention, dtype=dtype)
    decoder = InContextDecoder(model, tokenizer, template, attention=attention)
    modules: list[nn.Module] = [
        decoder,
        Pooling(decoder.get_embedding_dimension(), "lasttoken"),
        Normalize(),
    ]
    return SentenceTransformer(modules=modules, device=device, similarity_fn_name="cosine")
