"""The input module that all LLM embedders share: a template, a backbone, an attention."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import torch
from sentence_transformers.base.model import BaseModel
from sentence_transformers.base.modules import InputModule
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from embedlab.encoders.modules import attention as attentions
from embedlab.encoders.modules import based
from embedlab.encoders.modules.saved import Features, FromFolder
from embedlab.encoders.modules.template import Layout, Row, Template
from embedlab.encoders.modules.weights import read_backbone, read_tokenizer, without_head
from embedlab.errors import UserError


class States(Protocol):
    """What a backbone gives: the states `[B, L, d]` after its final norm, and, where it was asked,
    those before and after each layer.
    """

    last_hidden_state: torch.Tensor
    hidden_states: tuple[torch.Tensor, ...]


class Decoder(FromFolder, InputModule):
    """Token ids by a `Template`, states by a transformer with a set attention.

    `preprocess` gives input_ids, attention_mask and pooling_mask, int64 `[B, L]`; `forward` adds
    token_embeddings `[B, L, d]`, the states after the final norm, and, with `all_layers`,
    all_layer_embeddings, one such tensor after each layer (before the final norm, save the last).

    Args:
        model: the backbone, or a causal language model around it.
        tokenizer: its tokenizer.
        template: the layout of the input.
        attention: "causal", "bidirectional", or one of them per layer.
        padding_side: "left" or "right".
        all_layers: also give the states after each layer.
    """

    config_file_name = "decoder_config.json"
    template_class: ClassVar[type[Layout]] = Template
    tokenizer: PreTrainedTokenizerBase

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        template: Layout,
        *,
        attention: attentions.Attention = "causal",
        padding_side: str = "right",
        all_layers: bool = False,
    ):
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer
        self.template = template
        self.attention = attention
        self.padding_side = padding_side
        self.all_layers = all_layers
        self.max_seq_length = template.max_length
        self.rows([""])  # a template that does not fit the tokenizer fails now

    @classmethod
    def read(
        cls,
        folder: str | Path,
        template: Layout,
        *,
        attention: attentions.Attention = "causal",
        dtype: torch.dtype | None = None,
        language_model: bool = False,
        padding_side: str = "right",
        all_layers: bool = False,
    ) -> Self:
        """A decoder from a folder as `save_pretrained` writes it.

        Raises:
            UserError: weights are missing or misshapen, or the template does not fit the tokenizer.
        """
        folder = Path(folder)
        model = read_backbone(folder, attention, dtype=dtype, language_model=language_model)
        return cls(
            model,
            read_tokenizer(folder),
            template,
            attention=attention,
            padding_side=padding_side,
            all_layers=all_layers,
        )

    @property
    def backbone(self) -> PreTrainedModel:
        """The transformer without a head."""
        return without_head(self.model)

    @property
    def max_seq_length(self) -> int:
        return self.template.max_length

    @max_seq_length.setter
    def max_seq_length(self, value: int) -> None:
        """Never more than the positions that the backbone was built for."""
        self.template.max_length = min(
            value, getattr(self.model.config, "max_position_embeddings", value)
        )

    def get_embedding_dimension(self) -> int:
        return int(self.model.config.hidden_size)

    def rows(self, texts: Sequence[object], prompt: str | None = None) -> list[Row]:
        """The unpadded inputs; see `Template.rows`."""
        return self.template.rows(self.tokenizer, texts, prompt)

    def preprocess(
        self, inputs: Sequence[object], prompt: str | None = None, **kwargs: Any
    ) -> Features:
        return self.pad(self.rows(inputs, prompt))

    def pad(self, rows: list[Row]) -> Features:
        """Rows as one batch; padding carries the pad token, else EOS, and is masked."""
        length = max(len(row.ids) for row in rows)
        ids = torch.full((len(rows), length), self.pad_id)
        mask, pooled = torch.zeros_like(ids), torch.zeros_like(ids)
        for i, row in enumerate(rows):
            begin = length - len(row.ids) if self.padding_side == "left" else 0
            end = begin + len(row.ids)
            ids[i, begin:end] = torch.tensor(row.ids)
            mask[i, begin:end] = 1
            pooled[i, begin + row.first : end] = 1
        return {"input_ids": ids, "attention_mask": mask, "pooling_mask": pooled}

    @property
    def pad_id(self) -> int:
        """The token that stands where there is none, and is masked."""
        known = (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id)
        return next((int(token) for token in known if token is not None), 0)

    def forward(self, features: Features, **kwargs: Any) -> Features:
        output = self.states(features["attention_mask"], input_ids=features["input_ids"])
        features["token_embeddings"] = output.last_hidden_state
        if self.all_layers:
            features["all_layer_embeddings"] = list(output.hidden_states[1:])
        return features

    def states(self, attention_mask: torch.Tensor, **inputs: Any) -> States:
        """Run the backbone on `input_ids` or `inputs_embeds`;
        returns transformers' output object.
        """
        position_ids = self.positions(attention_mask)
        if not isinstance(self.attention, str) and len(set(self.attention)) > 1:
            inputs["layer_masks"] = attentions.layer_masks(attention_mask)
        output: States = self.backbone(
            attention_mask=attention_mask,
            position_ids=position_ids,
            use_cache=False,
            output_hidden_states=self.all_layers,
            **inputs,
        )
        return output

    def positions(self, attention_mask: torch.Tensor) -> torch.Tensor:
        """Position ids `[B, L]`: they count tokens,
        so padding on the left leaves a text where it was.
        """
        return (attention_mask.cumsum(-1) - 1).clamp(min=0)

    def on_model_ready(self, model: BaseModel) -> None:
        """Measure the attention once the model stands on its device.

        Raises:
            UserError: it is not the one asked for.
        """
        name = self.model.config.name_or_path or type(self.model).__name__
        attentions.check(self.backbone, self._probe, self.attention, name)

    def _probe(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> None:
        self.states(attention_mask, input_ids=input_ids)

    def get_config_dict(self) -> dict[str, Any]:
        return {
            "template": asdict(self.template),
            "attention": self.attention,
            "padding_side": self.padding_side,
            "all_layers": self.all_layers,
            "language_model": self.model is not self.backbone,
        }

    def save(
        self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any
    ) -> None:
        based.save(self.model, Path(output_path))
        self.tokenizer.save_pretrained(output_path)
        (Path(output_path) / self.config_file_name).write_text(
            json.dumps(self.get_config_dict(), indent=2)
        )

    @classmethod
    def from_folder(cls, folder: Path, *, model_kwargs: dict[str, Any]) -> Self:
        settings = cls.load_config(str(folder))
        template = cls.template_class(**settings.pop("template"))
        return cls.read(folder, template, dtype=model_kwargs.get("dtype"), **settings)


def decoder_of(model: BaseModel) -> Decoder:
    """The first module of a model that is built on a decoder.

    Raises:
        UserError: it is not.
    """
    first = model[0]
    if not isinstance(first, Decoder):
        raise UserError(
            f"This needs a model on a decoder; its first module is a {type(first).__name__}.",
            "Take a method that is built on a language model, such as gem or llm2vec.",
        )
    return first
