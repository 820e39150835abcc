"""Causal2Vec (arXiv:2507.23386):
a light encoder's summary of the text stands in front of it, in a causal decoder.

The embedding joins the states of this Contextual token and of EOS. The paper's code and weights are
not public; what its abstracts leave open is a named choice here, so a model trained with this file
is in the style of Causal2Vec.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import torch
from safetensors.torch import load_model, save_model
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.model import BaseModel
from sentence_transformers.base.modules import InputModule
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from embedlab.encoders.modules import based
from embedlab.encoders.modules.decoder import Decoder
from embedlab.encoders.modules.pooling import MarkedPooling, masked_mean
from embedlab.encoders.modules.saved import Features, FromFolder
from embedlab.encoders.modules.template import Row, Template, strings
from embedlab.encoders.modules.tokenizers import input_embeddings
from embedlab.encoders.modules.weights import local, read_backbone, read_tokenizer
from embedlab.errors import UserError, unknown

TRAINED = ("whole", "lora", "frozen")
POSITIONS = ("first", "after_bos", "after_instruction")
CONTEXT_POOLINGS = ("cls", "mean")


class Causal2Vec(FromFolder, InputModule):
    """Decoder input with one Contextual token among its embeddings.

    `preprocess` adds to the decoder's features context_mask `[B, L]`, 1 at the Contextual token,
    and the encoder's context_input_ids and context_attention_mask `[B, L']`; pooling_mask marks the
    Contextual token and EOS.

    Args:
        decoder: the language model with its template.
        encoder: a BERT-like model of width e.
        encoder_tokenizer: its tokenizer.
        context_pooling: "cls" or "mean" of the encoder's states.
        context_position: "first", "after_bos" or "after_instruction".
        encode_instruction_in_context: whether the encoder also reads the instruction.
        context_max_length: tokens that the encoder reads.

    `train_context` says how a stage of training with LoRA treats the encoder: "whole" (as the paper
    trains it), "lora" (the same with few weights, as the decoder), or "frozen".
    """

    train_context = "whole"
    config_file_name = "causal2vec.json"
    config_keys = [  # noqa: RUF012
        "context_pooling",
        "context_position",
        "encode_instruction_in_context",
        "context_max_length",
    ]

    def __init__(
        self,
        decoder: Decoder,
        encoder: PreTrainedModel,
        encoder_tokenizer: PreTrainedTokenizerBase,
        *,
        context_pooling: str = "mean",
        context_position: str = "after_instruction",
        encode_instruction_in_context: bool = False,
        context_max_length: int = 512,
    ):
        super().__init__()
        if context_position not in POSITIONS:
            raise unknown(
                "context position", context_position, POSITIONS, f"Valid: {', '.join(POSITIONS)}."
            )
        if context_pooling not in CONTEXT_POOLINGS:
            raise unknown("context pooling", context_pooling, CONTEXT_POOLINGS, "Valid: cls, mean.")
        self.decoder = decoder
        self.encoder = encoder
        self.encoder_tokenizer = encoder_tokenizer
        self.context_pooling = context_pooling
        self.context_position = context_position
        self.encode_instruction_in_context = encode_instruction_in_context
        self.context_max_length = context_max_length
        width = decoder.get_embedding_dimension()
        # Two linear layers with a non-linearity: the abstracts only speak of a projection.
        first, last = nn.Linear(encoder.config.hidden_size, width), nn.Linear(width, width)
        self.projector = nn.Sequential(first, nn.GELU(), last).to(decoder.model.dtype)
        self._start_projector(first, last)

    @torch.no_grad()
    def _start_projector(self, first: nn.Linear, last: nn.Linear) -> None:
        """Start with a Contextual token as large as the decoder's tokens:
        the layers would drown a small one.
        """
        size = input_embeddings(self.decoder.model).float().std().item()
        for layer, gain in ((first, 1.0), (last, 3 * size)):
            # 3: what the mean over states and GELU take away.
            weight = torch.empty_like(layer.weight, dtype=torch.float32)
            layer.weight.copy_(nn.init.orthogonal_(weight, gain))
            nn.init.zeros_(layer.bias)

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        return self.decoder.tokenizer

    @tokenizer.setter
    def tokenizer(self, value: PreTrainedTokenizerBase) -> None:
        self.decoder.tokenizer = value

    @property
    def max_seq_length(self) -> int:
        return self.decoder.max_seq_length

    @max_seq_length.setter
    def max_seq_length(self, value: int) -> None:
        self.decoder.max_seq_length = value

    def get_embedding_dimension(self) -> int:
        return self.decoder.get_embedding_dimension()

    def train(self, mode: bool = True) -> Self:
        """As any module; an encoder that stays as it is has no dropout either."""
        super().train(mode)
        if self.train_context == "frozen":
            self.encoder.eval()
        return self

    def preprocess(
        self, inputs: Sequence[object], prompt: str | None = None, **kwargs: Any
    ) -> Features:
        rows = self.decoder.rows(inputs, prompt)
        places = [self._place(row) for row in rows]
        features = self.decoder.pad(
            [_with_slot(row, place) for row, place in zip(rows, places, strict=True)]
        )
        offsets = features["attention_mask"].argmax(-1)  # tokens of padding on the left
        slots = torch.tensor(places) + offsets
        features["context_mask"] = torch.zeros_like(features["input_ids"]).scatter_(
            1, slots[:, None], 1
        )
        features["pooling_mask"] |= features["context_mask"]
        instruction = (prompt or "") if self.encode_instruction_in_context else ""
        context = self.encoder_tokenizer(
            [instruction + text for text in strings(inputs)],
            padding=True,
            truncation=True,
            max_length=self.context_max_length,
            return_tensors="pt",
        )
        return features | {
            f"context_{key}": context[key] for key in ("input_ids", "attention_mask")
        }

    def _place(self, row: Row) -> int:
        return {"first": 0, "after_bos": row.start, "after_instruction": row.head}[
            self.context_position
        ]

    def forward(self, features: Features, **kwargs: Any) -> Features:
        mask = features["context_attention_mask"]
        states = self.encoder(
            input_ids=features["context_input_ids"], attention_mask=mask
        ).last_hidden_state
        context = states[:, 0] if self.context_pooling == "cls" else masked_mean(states, mask)
        embeddings = self.decoder.model.get_input_embeddings()(features["input_ids"])
        here = features["context_mask"][..., None].bool()
        embeddings = torch.where(here, self.projector(context)[:, None], embeddings)
        output = self.decoder.states(features["attention_mask"], inputs_embeds=embeddings)
        features["token_embeddings"] = output.last_hidden_state
        return features

    def on_model_ready(self, model: BaseModel) -> None:
        self.decoder.on_model_ready(model)

    def save(
        self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any
    ) -> None:
        folder = Path(output_path)
        for part in ("llm", "context_encoder"):
            (folder / part).mkdir(exist_ok=True)
        self.decoder.save(str(folder / "llm"))
        based.save(self.encoder, folder / "context_encoder")
        self.encoder_tokenizer.save_pretrained(folder / "context_encoder")
        save_model(self.projector, str(folder / "projector.safetensors"))
        (folder / self.config_file_name).write_text(json.dumps(self.get_config_dict(), indent=2))

    @classmethod
    def from_folder(cls, folder: Path, *, model_kwargs: dict[str, Any]) -> Self:
        decoder = Decoder.load(str(folder / "llm"), model_kwargs=model_kwargs)
        encoder = folder / "context_encoder"
        choices = json.loads((folder / cls.config_file_name).read_text(encoding="utf-8"))
        model = read_backbone(encoder, "bidirectional", dtype=decoder.model.dtype)
        module = cls(decoder, model, read_tokenizer(encoder), **choices)
        load_model(module.projector, folder / "projector.safetensors")
        return module


def _with_slot(row: Row, place: int) -> Row:
    """`row` with a place for the Contextual token; which id stands there does not matter."""
    return row._replace(ids=[*row.ids[:place], row.ids[-1], *row.ids[place:]], first=row.first + 1)


def create(
    llm: str | Path,
    context_encoder: str | Path,
    *,
    concat_order: tuple[str, str] = ("context", "eos"),
    normalize_parts: bool = False,
    max_length: int = 512,
    train_context: str = "whole",
    device: str | None = None,
    dtype: torch.dtype | None = None,
    **choices: Any,
) -> SentenceTransformer:
    """A Causal2Vec with an untrained projector; `SentenceTransformer.save` keeps it for `load`.

    Args:
        llm: hub id or folder of the decoder.
        context_encoder: hub id or folder of the BERT-like encoder.
        concat_order: order of the two states in the embedding `[2 * hidden]`.
        normalize_parts: each state is scaled to unit length first.
        max_length: tokens for the decoder, the Contextual token not counted.
        train_context: see `Causal2Vec`.
        device: torch device.
        dtype: dtype of the weights; None is float32.
        choices: the keyword arguments of `Causal2Vec`; the encoder reads `max_length` tokens
            where `context_max_length` is not among them.

    Raises:
        UserError: an unknown choice, or weights that do not fit.
    """
    if sorted(concat_order) != ["context", "eos"]:
        raise UserError(
            f"Unknown concat_order {concat_order!r}.",
            "Valid: ('context', 'eos'), ('eos', 'context').",
        )
    if train_context not in TRAINED:
        raise unknown("train_context", train_context, TRAINED, f"Valid: {', '.join(TRAINED)}.")
    folder, encoder_folder = local(llm), local(context_encoder)
    tokenizer = read_tokenizer(folder)
    template = Template(
        start=[tokenizer.bos_token] if tokenizer.bos_token else [],
        end=[tokenizer.eos_token],
        pooled="end",
        apart=True,
        max_length=max_length,
    )
    decoder = Decoder(read_backbone(folder, "causal", dtype=dtype), tokenizer, template)
    encoder = read_backbone(encoder_folder, "bidirectional", dtype=dtype)
    choices = {"context_max_length": max_length} | choices
    module = Causal2Vec(decoder, encoder, read_tokenizer(encoder_folder), **choices)
    module.train_context = train_context
    pooling = MarkedPooling(
        decoder.get_embedding_dimension(),
        "concatenate",
        tokens=2,
        order=[("context", "eos").index(part) for part in concat_order],
        normalize_parts=normalize_parts,
    )
    return SentenceTransformer(
        modules=[module, pooling], device=device, similarity_fn_name="cosine"
    )


def load(
    source: str | Path,
    *,
    revision: str | None = None,
    device: str | None = None,
    dtype: torch.dtype | None = None,
) -> SentenceTransformer:
    """Load a trained Causal2Vec: llm/, context_encoder/, projector.safetensors, causal2vec.json.

    Raises:
        UserError: the folder holds none.
    """
    folder = local(source, revision)
    if not (folder / Causal2Vec.config_file_name).exists():
        raise UserError(f"The folder {folder} holds no trained Causal2Vec.", "Train one first.")
    return SentenceTransformer(
        str(folder), device=device, model_kwargs={"dtype": dtype or torch.float32}
    )
