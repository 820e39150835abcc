"""LLM2Vec (arXiv:2404.05961): a decoder made bidirectional,
LoRA adapters merged in, the mean over the text alone.
"""

import json
from pathlib import Path

import torch
from safetensors import safe_open
from sentence_transformers import SentenceTransformer
from torch import nn
from transformers import PreTrainedModel

from embedlab.encoders.modules.decoder import Decoder
from embedlab.encoders.modules.pooling import MarkedPooling
from embedlab.encoders.modules.template import Template
from embedlab.encoders.modules.weights import local, read_backbone, read_tokenizer
from embedlab.errors import UserError, missing_extra, unknown

# What the published models put around instruction and text.
CHATS = {
    "plain": ("", ""),
    "llama-3": ("<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>"),
    "mistral": ("[INST] ", " [/INST]"),
}


def load(
    source: str | Path,
    *,
    base: str | Path | None = None,
    adapters: tuple[str, ...] = (),
    chat: str = "plain",
    skip_instruction: bool = True,
    max_length: int = 512,
    text_max_length: int | None = 400,
    keep_end: bool = True,
    language_model: bool = False,
    revision: str | None = None,
    device: str | None = None,
    dtype: torch.dtype | None = None,
) -> SentenceTransformer:
    """The base model, with `adapters` and then `source` merged into it in this order.

    Args:
        source: hub id or folder of a LoRA adapter, or of a model that is merged already.
        base: the base model; None takes the one that the first adapter names.
        adapters: adapters to merge before `source`, e.g. the mntp one before the supervised one.
        chat: what surrounds the input, one of CHATS.
        skip_instruction: leave the instruction out of the mean.
        max_length: tokens in all.
        text_max_length: tokens of the text, cut at words; None cuts it at `max_length` alone.
        keep_end: what follows the text stays where the input exceeds `max_length`; False: it is
            cut, as published.
        language_model: keep the head that generates, which masked next-token prediction trains
            with.
        revision: of `source`.
        device: torch device.
        dtype: dtype of the weights; None is float32.

    Raises:
        UserError: an adapter does not fit the base, peft is missing, or the attention is not
            bidirectional.
    """
    if chat not in CHATS:
        raise unknown("chat", chat, CHATS, f"Valid: {', '.join(CHATS)}.")
    folders = [*map(local, adapters), local(source, revision)]
    loras = [folder for folder in folders if (folder / "adapter_config.json").exists()]
    base_folder = local(base or base_of(loras[0])) if loras else folders[-1]
    model = read_backbone(base_folder, "bidirectional", dtype=dtype, language_model=language_model)
    for folder in loras:
        model = merge_adapter(model, folder)
    with_tokenizer = next(
        (f for f in reversed(folders) if (f / "tokenizer.json").exists()), base_folder
    )
    tokenizer = read_tokenizer(with_tokenizer)
    before, after = CHATS[chat]
    template = Template(
        text=before + "{prompt} {text}" + after,
        bare=before + "{text}" + after,
        start=[tokenizer.bos_token] if tokenizer.bos_token else [],
        pooled="text" if skip_instruction else "all",
        # The published code strips the whole string, in which a mark stands before the text;
        # plain chat strips nothing.
        strip="end" if before or after else "prompt",
        keep_end=keep_end,
        max_length=max_length,
        text_max_length=text_max_length,
    )
    decoder = Decoder(model, tokenizer, template, attention="bidirectional", padding_side="left")
    modules: list[nn.Module] = [decoder, MarkedPooling(decoder.get_embedding_dimension())]
    return SentenceTransformer(modules=modules, device=device, similarity_fn_name="cosine")


def base_of(adapter: Path) -> str:
    """The base model that the folder of a LoRA adapter names."""
    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    return str(config["base_model_name_or_path"])


def merge_adapter(model: PreTrainedModel, folder: Path) -> PreTrainedModel:
    """`model` with the LoRA adapter in `folder` added to its weights.

    Raises:
        UserError: keys of the adapter have no place in the model; peft alone would only warn.
    """
    try:
        from peft import PeftModel, get_peft_model_state_dict
    except ImportError:
        raise missing_extra("Merging LoRA adapters", "train") from None
    adapted = PeftModel.from_pretrained(model, str(folder))
    with safe_open(folder / "adapter_model.safetensors", framework="pt") as file:
        stored = set(file.keys())
    if homeless := stored.symmetric_difference(get_peft_model_state_dict(adapted)):
        raise UserError(
            f"The adapter {folder} does not fit {type(model).__name__}:"
            f" {', '.join(sorted(homeless))}.",
            "Give the base model that the adapter was trained on: base=...",
        )
    merged: PreTrainedModel = adapted.merge_and_unload()
    return merged
