"""From a text and its instruction to token ids, built by us.

Tokenizers of one and the same model put BOS and EOS in or leave them out by version and by switch,
and cut EOS off long texts. Here start and end tokens are placed by id, and the pooled positions
follow from the ids. A long text loses its own end and nothing else; with `keep_end=False` the whole
input is cut, as most of the published code does.
"""

from collections.abc import Sequence
from dataclasses import Field, dataclass, field
from typing import Any, ClassVar, NamedTuple, Protocol, TypedDict, cast

from transformers import PreTrainedTokenizerBase

from embedlab.errors import UserError, unknown

POOLED = {
    "all": "every token",
    "after_prompt": (
        "without the first n tokens, n = pieces of the prompt alone; every token where there is no"
        " prompt"
    ),
    "content": "everything after start tokens and prompt",
    "text": "the last n tokens, n = pieces of the text with what follows it",
    "end": "the end tokens",
}


# Longer than any piece of a vocabulary (128 in the longest),
# so a text cut here still fills its limit.
CHARACTERS_PER_TOKEN = 256


class Row(NamedTuple):
    """One input: its token ids, and the first of the pooled ones;
    those behind it are pooled too.
    """

    ids: list[int]
    first: int
    head: int  # ids before the text: start tokens and prompt
    start: int = 0  # ids before the prompt: start tokens


class Layout(Protocol):
    """What a decoder asks of its template: rows, and how long one may be. A dataclass, which is
    saved with the model.
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    max_length: int

    def rows(
        self, tokenizer: PreTrainedTokenizerBase, texts: Sequence[object], prompt: str | None = None
    ) -> list[Row]:
        """One row per text.

        Raises:
            UserError: an input is no string.
        """


class Marks(TypedDict):
    """The tokens around a text, as settings of a template."""

    start: list[str]
    end: list[str]


@dataclass
class Template:
    """How one method lays out its input.

    The ids are `start` + pieces(`text` or `bare`) + `end`. With a prompt (the rendered instruction)
    `text` is used, without one `bare`.
    """

    text: str = "{prompt}{text}"
    bare: str = "{text}"
    start: list[str] = field(default_factory=list)  # tokens in front, e.g. ["<s>"]
    end: list[str] = field(default_factory=list)  # tokens at the end, e.g. ["</s>"]
    pooled: str = "all"  # one of POOLED
    prefix: str = ""  # in front of every prompt, e.g. examples for in-context learning
    # In front of every text, and counted as text; not where the prompt ends in it already.
    lead: str = ""
    # White space that goes: around the "prompt", also at the "end" of the text, or on "both" sides;
    # True in models that were saved before there was a choice.
    strip: str | bool = ""
    apart: bool = False  # prompt and text are cut into pieces separately
    max_length: int = 512  # tokens in all
    text_max_length: int | None = None  # tokens of the text alone, cut at words (LLM2Vec)
    # A text beyond max_length loses its own end; False: the input loses what stands last.
    keep_end: bool = True

    def __post_init__(self) -> None:
        if self.pooled not in POOLED:
            raise unknown("pooled span", self.pooled, POOLED, f"Valid: {', '.join(POOLED)}.")
        if self.strip is True:
            self.strip = "both"

    def rows(
        self, tokenizer: PreTrainedTokenizerBase, texts: Sequence[object], prompt: str | None = None
    ) -> list[Row]:
        """One row per text; never longer than `max_length`, start and end tokens always present.

        Raises:
            UserError: an input is no string, a start or end token is unknown, or the prompt leaves
                no room.
        """
        whole_texts = strings(texts)
        start, end = token_ids(tokenizer, self.start), token_ids(tokenizer, self.end)
        room = self.max_length - len(start) - len(end)
        head, tail = self._around(prompt)
        head_ids = pieces(tokenizer, [head])[0]
        if len(head_ids) + len(pieces(tokenizer, [tail])[0]) >= room:
            raise UserError(
                f"The instruction takes {len(head_ids)} tokens of {self.max_length}: no room for a"
                " text.",
                "Shorten the instruction, or raise the maximal length.",
            )
        # What can never be read is not cut into pieces either.
        limit = CHARACTERS_PER_TOKEN * self.max_length
        lead = "" if head.endswith(self.lead) else self.lead
        read = [lead + self._text(tokenizer, text, limit) for text in whole_texts]
        own = (
            pieces(tokenizer, [text + tail for text in read])
            if self.apart or self.pooled == "text"
            else []
        )
        bodies = (
            [head_ids + ids for ids in own]
            if self.apart
            else pieces(tokenizer, [head + text + tail for text in read])
        )
        rows = []
        for i, body in enumerate(bodies):
            whole = len(body)
            if whole > room and self.keep_end:
                body = _fit(tokenizer, head, read[i], tail, room) if tail else body[:room]
            # A model without start and end tokens has nothing to read in an empty text.
            ids = (start + body + end)[: self.max_length] or [tokenizer.eos_token_id or 0]
            first = {
                "all": 0,
                "after_prompt": len(head_ids) if prompt else 0,
                "content": len(start) + len(head_ids),
                "text": len(start) + whole - len(own[i]) if self.pooled == "text" and own[i] else 0,
                "end": len(ids) - len(end),
            }[self.pooled]
            if self.pooled == "text" and len(start) + whole > self.max_length and not self.keep_end:
                first = len(ids) - len(own[i])  # as published: counted from the end of what was cut
            first = max(0, min(first, len(ids) - 1))
            rows.append(Row(ids, first, len(start) + len(head_ids), len(start)))
        return rows

    def _text(self, tokenizer: PreTrainedTokenizerBase, text: str, limit: int) -> str:
        """A text as it is put in: without the white space that goes,
        and cut where the method cuts by words.
        """
        if self.strip == "both":
            text = text.strip()
        if self.text_max_length:
            text = cut_at_words(
                tokenizer, text, self.text_max_length, self.max_length, rescue=self.keep_end
            )
        return (text.rstrip() if self.strip == "end" else text)[:limit]

    def _around(self, prompt: str | None) -> tuple[str, str]:
        """What stands before and after the text."""
        head, _, tail = (self.text if prompt else self.bare).partition("{text}")
        if not prompt:
            return head, tail
        return (
            head.replace("{prompt}", self.prefix + (prompt.strip() if self.strip else prompt)),
            tail,
        )


def strings(texts: Sequence[object]) -> list[str]:
    """The texts themselves.

    Raises:
        UserError: one is no string.
    """
    found = [text for text in texts if isinstance(text, str)]
    if len(found) < len(texts):
        other = next(text for text in texts if not isinstance(text, str))
        raise UserError(f"A text to encode is of type {type(other).__name__}.", "Give strings.")
    return found


def pieces(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> list[list[int]]:
    """Token ids without any that the tokenizer would add by itself."""
    ids: list[list[int]] = tokenizer(texts, add_special_tokens=False, return_attention_mask=False)[
        "input_ids"
    ]
    return ids


def default_marks(tokenizer: PreTrainedTokenizerBase) -> Marks:
    """The start and end tokens that the tokenizer would put around a text by itself."""
    ids, body = tokenizer("a")["input_ids"], pieces(tokenizer, ["a"])[0]
    begin = next(i for i in range(len(ids)) if ids[i : i + len(body)] == body)
    return {
        "start": list(tokenizer.convert_ids_to_tokens(ids[:begin])),
        "end": list(tokenizer.convert_ids_to_tokens(ids[begin + len(body) :])),
    }


def token_ids(tokenizer: PreTrainedTokenizerBase, tokens: list[str]) -> list[int]:
    """The ids of start or end tokens.

    Raises:
        UserError: the vocabulary lacks one.
    """
    ids = cast("list[int]", tokenizer.convert_tokens_to_ids(tokens))  # a list for a list
    unknown_ids = {None, tokenizer.unk_token_id}
    if missing := [
        t for t, i in zip(tokens, ids, strict=True) if i in unknown_ids and t != tokenizer.unk_token
    ]:
        raise UserError(
            f"The tokenizer has no token {', '.join(map(repr, missing))}.",
            "Give the model's own tokens as start and end of the template.",
        )
    return ids


def cut_at_words(
    tokenizer: PreTrainedTokenizerBase,
    text: str,
    max_length: int,
    measured: int,
    *,
    rescue: bool = True,
) -> str:
    """LLM2Vec's rule: keep the share of the words
    that the tokens exceed the limit by, until the text fits.

    As published, lengths are measured on what the model would read, so none is above `measured`
    tokens. A text without white space becomes empty by this rule; with `rescue` it is left to the
    cut by tokens instead.
    """
    limit = CHARACTERS_PER_TOKEN * measured
    while (length := min(measured, len(pieces(tokenizer, [text[:limit]])[0]))) > max_length:
        words = text.split()
        shorter = " ".join(words[: int(len(words) * max_length / length)])
        if not shorter and rescue:
            return text
        text = shorter
    return text


def _fit(
    tokenizer: PreTrainedTokenizerBase, head: str, text: str, tail: str, room: int
) -> list[int]:
    """The ids of head + text + tail, with the end of the text cut until they fit."""
    while len(ids := pieces(tokenizer, [head + text + tail])[0]) > room:
        if not text:
            return ids[:room]
        offsets = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)[
            "offset_mapping"
        ]
        kept = len(offsets) - (len(ids) - room)
        text = text[: min(offsets[kept - 1][1], len(text) - 1)] if kept > 0 else ""
    return ids
