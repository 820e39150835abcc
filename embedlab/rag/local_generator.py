"""A generator on this machine: a base by name, a causal language model of transformers, or the
weights of a GEM, which also embed.
"""

from typing import Any

import torch

from embedlab.errors import UserError
from embedlab.hardware import choose_device, choose_dtype
from embedlab.models import language_models
from embedlab.rag.generator import Generated


class LocalGenerator:
    """See `embedlab.rag.generators.find`. The chat template is used where the model has one."""

    def __init__(
        self, name: str, max_tokens: int, temperature: float, device: str | None, dtype: str
    ) -> None:
        device = choose_device(device)
        dtype, reason = choose_dtype(dtype, device)
        found = language_models.load(name, device=device, dtype=dtype)
        self.name, self.identity = found.name, found.identity
        self._model, self._tokenizer = found.model, found.tokenizer
        self._max_tokens, self._temperature = max_tokens, temperature
        positions = getattr(self._model.config, "max_position_embeddings", None)
        if positions and positions <= max_tokens:
            raise UserError(
                f"{self.name} has {positions} positions, and --max-tokens {max_tokens} fills them.",
                "Ask for fewer.",
            )
        self._limit = positions - max_tokens if positions else None
        self.sent: dict[str, Any] = {}
        self.settings = {
            "max_tokens": max_tokens,
            "temperature": temperature,
            "device": device,
            "dtype": dtype,
            "dtype_reason": reason,
            "chat_template": bool(self._tokenizer.chat_template),
        }

    def fits(self, prompt: str) -> bool:
        return self._limit is None or len(self._ids(prompt)) <= self._limit

    @torch.inference_mode()
    def generate(self, prompt: str) -> Generated:
        ids = torch.tensor([self._ids(prompt)], device=self._model.device)
        sampling = (
            {"do_sample": True, "temperature": self._temperature}
            if self._temperature
            else {"do_sample": False}
        )
        pad = self._tokenizer.pad_token_id
        output = self._model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=self._max_tokens,
            pad_token_id=self._tokenizer.eos_token_id if pad is None else pad,
            **sampling,
        )
        written = output[0, ids.shape[1] :]
        text = self._tokenizer.decode(written, skip_special_tokens=True).strip()
        if not self._tokenizer.chat_template:  # a base model goes on with questions of its own
            text = text.partition("\n")[0].strip()
        return Generated(text, ids.shape[1], len(written))

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
