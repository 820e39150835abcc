"""A generator on this machine: a base by name, a causal language model of transformers, or the
weights of a GEM, which also embed.
"""

import time
from collections.abc import Iterator, Sequence
from copy import copy
from typing import Any

import torch

from embedlab.errors import UserError
from embedlab.hardware import choose_device, choose_dtype
from embedlab.models import language_models
from embedlab.rag.generator import Generated

_BATCH = 16  # prompts at once, at most
_ALIKE = 0.75  # the shortest prompt beside the longest of a batch: padding is computed as well
_BATCH_TOKENS = 8_192  # ... and tokens of theirs, padding included


class LocalGenerator:
    """See `embedlab.rag.generators.find`. The chat template is used where the model has one."""

    url = ""

    def __init__(
        self,
        name: str,
        max_tokens: int,
        temperature: float,
        device: str | None,
        dtype: str,
        lines: int | None = 1,
    ) -> None:
        device = choose_device(device)
        dtype, reason = choose_dtype(dtype, device)
        found = language_models.load(name, device=device, dtype=dtype)
        self.name, self.identity = found.name, found.identity
        self._model, self._tokenizer = found.model, found.tokenizer
        self._weights = {"device": device, "dtype": dtype, "dtype_reason": reason}
        self._set(max_tokens, temperature, lines)

    def again(self, max_tokens: int, temperature: float, lines: int | None = 1) -> "LocalGenerator":
        """The same model with other settings."""
        other = copy(self)
        other._set(max_tokens, temperature, lines)
        return other

    def _set(self, max_tokens: int, temperature: float, lines: int | None) -> None:
        self._max_tokens, self._temperature = max_tokens, temperature
        positions = getattr(self._model.config, "max_position_embeddings", None)
        if positions and positions <= max_tokens:
            raise UserError(
                f"{self.name} has {positions} positions, and --max-tokens {max_tokens} fills them.",
                "Ask for fewer.",
            )
        self._limit = positions - max_tokens if positions else None
        # A base model goes on with questions of its own: what follows is cut off.
        self._lines = None if self._tokenizer.chat_template else lines
        self.sent: dict[str, Any] = {}
        self.settings = {
            "max_tokens": max_tokens,
            "temperature": temperature,
            **self._weights,
            "chat_template": bool(self._tokenizer.chat_template),
        }
        if lines != 1:
            self.settings["lines"] = lines

    def tokens(self, text: str) -> int:
        return len(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def fits(self, prompt: str) -> bool:
        return self._limit is None or len(self._ids(prompt)) <= self._limit

    def generate(self, prompt: str) -> Generated:
        return self._batch([self._ids(prompt)])[0]

    def generate_all(self, prompts: Sequence[str]) -> Iterator[tuple[int, Generated]]:
        """Batch by batch, prompts of about one length together, the longest first."""
        ids = [self._ids(prompt) for prompt in prompts]
        order = sorted(range(len(ids)), key=lambda place: -len(ids[place]))
        while order:
            longest = len(ids[order[0]])
            room = min(_BATCH, max(1, _BATCH_TOKENS // (longest + self._max_tokens)))
            alike = [place for place in order[:room] if len(ids[place]) >= _ALIKE * longest]
            batch, order = alike, order[len(alike) :]
            yield from zip(batch, self._batch([ids[place] for place in batch]), strict=True)

    @torch.inference_mode()
    def _batch(self, prompts: list[list[int]]) -> list[Generated]:
        """Prompts side by side, padded on the left and masked there: each is answered as it would
        be alone.
        """
        began, width = time.perf_counter(), max(map(len, prompts))
        pad, end = self._tokenizer.pad_token_id, self._tokenizer.eos_token_id
        pad = end if pad is None else pad
        padded = [[pad or 0] * (width - len(ids)) + ids for ids in prompts]
        mask = [[0] * (width - len(ids)) + [1] * len(ids) for ids in prompts]
        sampling: dict[str, Any] = (
            {"do_sample": True, "temperature": self._temperature}
            if self._temperature
            else {"do_sample": False}
        )
        output = self._model.generate(
            input_ids=torch.tensor(padded, device=self._model.device),
            attention_mask=torch.tensor(mask, device=self._model.device),
            max_new_tokens=self._max_tokens,
            pad_token_id=pad,
            stopping_criteria=[self._lines_ended(width)] if self._lines else None,
            **sampling,
        )
        written = [self._written(row) for row in output[:, width:].tolist()]
        seconds = (time.perf_counter() - began) / len(prompts)
        return [
            Generated(text, len(ids), count, seconds=seconds)
            for ids, (text, count) in zip(prompts, written, strict=True)
        ]

    def _lines_ended(self, width: int) -> Any:
        """Stops each answer that has its lines: what follows need not be written."""

        def ended(ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
            texts = self._tokenizer.batch_decode(ids[:, width:], skip_special_tokens=True)
            return torch.tensor([self._has_lines(text) for text in texts], device=ids.device)

        return ended

    def _has_lines(self, text: str) -> bool:
        return self._lines is not None and text.lstrip().count("\n") >= self._lines

    def _written(self, ids: list[int]) -> tuple[str, int]:
        """The text of an answer, and how many tokens were written for it: up to the end of the
        text, or of its lines.
        """
        ends = self._ends()
        count = next((n for n, id in enumerate(ids, 1) if id in ends), len(ids))
        text = self._tokenizer.decode(ids[:count], skip_special_tokens=True)
        if self._has_lines(text):
            parts = (
                self._tokenizer.decode(ids[:n], skip_special_tokens=True)
                for n in range(1, count + 1)
            )
            count = next(n for n, part in enumerate(parts, 1) if self._has_lines(part))
            text = "\n".join(text.lstrip().split("\n")[: self._lines])
        return text.strip(), count

    def _ends(self) -> set[int]:
        """The tokens that end a text."""
        said = self._model.generation_config.eos_token_id
        ids = said if isinstance(said, list) else [said]
        return {id for id in (*ids, self._tokenizer.eos_token_id) if id is not None}

    def _ids(self, prompt: str) -> list[int]:
        tokenizer = self._tokenizer
        if tokenizer.chat_template:
            messages = [{"role": "user", "content": prompt}]
            text = tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True
            )
            ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
            return ids
        ids = tokenizer(prompt)["input_ids"]
        # Nothing follows the end of a text.
        return ids[:-1] if ids[-1] == tokenizer.eos_token_id else ids
