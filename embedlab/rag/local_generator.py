"""A generator on this machine: a base by name, a causal language model of transformers, or the
weights of a GEM, which also embed.
"""

from pathlib import Path
from typing import Any

import torch

from embedlab import hub, models
from embedlab.bases import folders
from embedlab.bases.base_cards import bases
from embedlab.errors import UserError
from embedlab.hardware import as_torch, choose_device, choose_dtype
from embedlab.models import identity, integrity
from embedlab.models.cards import Card
from embedlab.models.loading import quiet
from embedlab.models.model_files import weights
from embedlab.rag.generator import Generated

_HINT = (
    f"Choose a base ({', '.join(bases())}), another causal language model (such as"
    " Qwen/Qwen3-0.6B), a trained GEM, or the URL of a server."
)


class LocalGenerator:
    """See `embedlab.rag.generators.find`. The chat template is used where the model has one."""

    def __init__(
        self, name: str, max_tokens: int, temperature: float, device: str | None, dtype: str
    ) -> None:
        base = folders.is_base(name)
        self.name = name if base else models.find(name).name
        device = choose_device(device)
        dtype, reason = choose_dtype(dtype, device)
        self._model, self._tokenizer, self.identity = (
            _of_base(name, device, dtype) if base else _loaded(models.find(name), device, dtype)
        )
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


def _loaded(card: Card, device: str, dtype: str) -> tuple[Any, Any, str]:
    """The language model, its tokenizer, and the weights' identity.

    Raises:
        UserError: the model cannot generate.
    """
    if not card.kind.has_weights:
        raise UserError(f"{card.name} cannot generate text.", _HINT)
    hub.settle()
    folder, revision = weights(card)
    known = f"{card.source or card.name}@{revision}"
    if (folder / "modules.json").is_file():
        # A GEM, saved as the sentence-transformers model that it also is.
        encoder = models.load(
            card.source if card.method == "auto" else card.name, device=device, dtype=dtype
        ).encoder
        model, tokenizer = getattr(encoder[0], "model", None), encoder.tokenizer
    else:
        model, tokenizer = _language_model(folder, card.name, device, dtype)
    if model is None or not getattr(model, "can_generate", lambda: False)():
        raise UserError(f"{card.name} cannot generate text.", _HINT)
    return model.eval(), tokenizer, known


def _of_base(name: str, device: str, dtype: str) -> tuple[Any, Any, str]:
    """As `_loaded`, of a base by its name."""
    folder = folders.folder(name)
    folders.require_language_model(folder, name)
    model, tokenizer = _language_model(folder, name, device, dtype)
    return model.eval(), tokenizer, f"{name}@{identity.of_folder(folder)}"


def _language_model(folder: Path, name: str, device: str, dtype: str) -> tuple[Any, Any]:
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    quiet()
    try:
        built = AutoConfig.from_pretrained(folder).architectures or []
        # transformers would put a random head on an encoder and let it talk.
        if not any(
            word in architecture for architecture in built for word in ("CausalLM", "LMHead")
        ):
            return None, None
        with integrity.watched() as misfit:
            model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=as_torch(dtype))
            model = model.to(device)
        misfit(model).refuse(folder)
        return model, AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"The generator {name} cannot be loaded: {error}", _HINT) from error
