"""Tiny checkpoints in published layouts, the same on every machine:
weights from numpy, tokenizers from files.

The originals ran on the folders that `write` makes (`python tests/golden/tiny.py FOLDER`), the
tests make them anew.
"""

import json
import shutil
import sys
from pathlib import Path
from zlib import crc32

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    BertConfig,
    LlamaConfig,
    MistralConfig,
    PhiConfig,
    Qwen2Config,
)

HERE = Path(__file__).parent
SIZES = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 1024,
}
GROUPS = {"num_key_value_heads": 2}
LLAMA_MARKS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<unk>"}
BERT_MARKS = {
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "mask_token": "[MASK]",
}
# name -> class of configuration, what is built from it,
# tokenizer, its marks, settings of the configuration
CHECKPOINTS = {
    "mistral": (
        MistralConfig,
        AutoModelForCausalLM,
        "mistral",
        LLAMA_MARKS,
        GROUPS | {"sliding_window": None},
    ),
    "icl": (MistralConfig, AutoModel, "icl", LLAMA_MARKS, GROUPS | {"sliding_window": None}),
    "lens": (MistralConfig, AutoModel, "lens", LLAMA_MARKS, GROUPS | {"sliding_window": None}),
    "llama3": (
        LlamaConfig,
        AutoModelForCausalLM,
        "llama3",
        {
            "bos_token": "<|begin_of_text|>",
            "eos_token": "<|end_of_text|>",
            "pad_token": "<|end_of_text|>",
        },
        GROUPS,
    ),
    "qwen2": (
        Qwen2Config,
        AutoModel,
        "qwen2",
        {"eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"},
        GROUPS,
    ),
    "phi": (PhiConfig, AutoModelForCausalLM, "phi", {"eos_token": "<|endoftext|>"}, {}),
    "bert": (BertConfig, AutoModel, "bert", BERT_MARKS, {}),
    "bert-words": (BertConfig, AutoModelForMaskedLM, "bert", BERT_MARKS, {}),
    "bert-pairs": (
        BertConfig,
        AutoModelForSequenceClassification,
        "bert",
        BERT_MARKS,
        {"num_labels": 1},
    ),
}
LINEAR = [
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "mlp.gate_proj",
    "mlp.up_proj",
    "mlp.down_proj",
]


def tensor(key: str, shape: list[int], seed: int = 0) -> torch.Tensor:
    """The weights that go by a name: the same for every version of every library."""
    numbers = (
        np.random.RandomState((crc32(key.encode()) + seed) % 2**32)
        .standard_normal(shape)
        .astype(np.float32)
    )
    if "norm" in key.lower() and key.endswith("weight"):
        return torch.from_numpy(1 + numbers / 10)
    if len(shape) < 2:
        return torch.from_numpy(numbers / 10)
    return torch.from_numpy(numbers * (1.0 if "embed" in key or "latents" in key else 0.15))


def write(name: str, folder: Path, **changes) -> Path:
    """One of CHECKPOINTS as `save_pretrained` lays it out."""
    kind, head, words, marks, settings = CHECKPOINTS[name]
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = write_tokenizer(words, marks, folder)
    ids = {
        f"{mark}_id": vocabulary[marks[mark]]
        for mark in ("bos_token", "eos_token", "pad_token")
        if mark in marks
    }
    config = kind(vocab_size=len(vocabulary), **{**SIZES, **settings, **ids, **changes})
    config.architectures = [head._model_mapping[kind].__name__]
    config.save_pretrained(folder)
    with torch.device("meta"):
        model = head.from_config(config)
    tied = {"cls.predictions.decoder.weight", "cls.predictions.decoder.bias"}
    shapes = {
        key: list(value.shape) for key, value in model.state_dict().items() if key not in tied
    }
    write_weights(
        folder,
        {key: tensor(key, shape) for key, shape in shapes.items() if "position_ids" not in key},
    )
    return folder


def write_lens(folder: Path) -> Path:
    """A backbone, and a head that scores 40 clusters as a pickled layer."""
    head = torch.nn.Linear(SIZES["hidden_size"], 40, bias=False)
    head.weight = torch.nn.Parameter(tensor("lm_head.weight", [40, SIZES["hidden_size"]]))
    torch.save(head, write("lens", folder) / "lm_head.pth")
    return folder


def write_nv_embed(folder: Path) -> Path:
    """A Mistral and a head of 4 latents, 2 heads of 32, under the keys of NV-Embed."""
    write("mistral", folder)
    text = json.loads((folder / "config.json").read_text()) | {
        "model_type": "bidir_mistral",
        "use_cache": False,
    }
    stored = load_file(folder / "model.safetensors")
    weights = {
        key.replace("model.", "embedding_model.", 1): value
        for key, value in stored.items()
        if key != "lm_head.weight"
    }
    head = {
        f"latent_attention_model.{key}": value for key, value in head_weights(layers=False).items()
    }
    write_weights(folder, weights | head)
    marks = LLAMA_MARKS | {"pad_token": "</s>"}
    write_tokenizer("mistral", marks, folder)
    size = SIZES["hidden_size"]
    latent = {
        "num_latents_value": 4,
        "num_cross_heads": 2,
        "hidden_dim": size,
        "latent_dim": size,
        "cross_dim_head": 32,
    }
    config = {
        "model_type": "nvembed",
        "architectures": ["NVEmbedModel"],
        "hidden_size": size,
        "padding_side": "right",
        "add_eos": True,
        "add_pad_token": True,
        "is_mask_instruction": True,
        "mask_type": "b",
        "latent_attention_config": latent,
        "text_config": text,
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def write_tokenizer(words: str, marks: dict[str, str], folder: Path) -> dict[str, int]:
    """The tokenizer files of a checkpoint; returns its vocabulary."""
    shutil.copy(HERE / "tokenizers" / f"{words}.json", folder / "tokenizer.json")
    inputs = ["input_ids", "attention_mask", *(["token_type_ids"] if words == "bert" else [])]
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False,
        "model_input_names": inputs, **marks,
    }  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    stored = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    return stored["model"]["vocab"] | {
        token["content"]: token["id"] for token in stored["added_tokens"]
    }


def write_weights(folder: Path, weights: dict[str, torch.Tensor]) -> None:
    save_file(
        {key: value.contiguous() for key, value in weights.items()},
        folder / "model.safetensors",
        {"format": "pt"},
    )


def write_adapter(folder: Path, base: Path) -> Path:
    """A LoRA adapter of rank 4 on all linear layers of a `mistral` or `llama3`."""
    folder.mkdir(parents=True, exist_ok=True)
    weights, size, inner, keys = {}, SIZES["hidden_size"], SIZES["intermediate_size"], 32
    widths = {
        "q_proj": (size, size),
        "k_proj": (size, keys),
        "v_proj": (size, keys),
        "o_proj": (size, size),
        "gate_proj": (size, inner),
        "up_proj": (size, inner),
        "down_proj": (inner, size),
    }
    for layer in range(SIZES["num_hidden_layers"]):
        for linear in LINEAR:
            into, out = widths[linear.rpartition(".")[2]]
            key = f"base_model.model.layers.{layer}.{linear}.lora"
            weights[f"{key}_A.weight"] = tensor(f"{key}_A.weight", [4, into])
            weights[f"{key}_B.weight"] = tensor(f"{key}_B.weight", [out, 4])
    save_file(weights, folder / "adapter_model.safetensors", {"format": "pt"})
    config = {
        "base_model_name_or_path": str(base),
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": False,
        "lora_alpha": 8,
        "lora_dropout": 0.0,
        "peft_type": "LORA",
        "r": 4,
        "target_modules": [linear.rpartition(".")[2] for linear in LINEAR],
        "task_type": None,
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(base / file, folder / file)
    return folder


def head_weights(
    *, layers: bool, latents: int = 4, heads: int = 2, width: int = 32
) -> dict[str, torch.Tensor]:
    """The trained head of Pooling and Attention, by the keys of the published code."""
    size, inner = SIZES["hidden_size"], heads * width
    shapes = {"latents": [latents, size]} | (
        {"pos_emb.weight": [SIZES["num_hidden_layers"], size]} if layers else {}
    )
    block = "cross_attend_blocks"
    for norm in ("0.norm", "0.norm_context", "1.norm"):
        shapes |= {f"{block}.{norm}.weight": [size], f"{block}.{norm}.bias": [size]}
    shapes |= {
        f"{block}.0.fn.to_q.weight": [inner, size],
        f"{block}.0.fn.to_kv.weight": [2 * inner, size],
        f"{block}.0.fn.to_out.weight": [size, inner],
        f"{block}.1.fn.net.0.weight": [8 * size, size],
        f"{block}.1.fn.net.0.bias": [8 * size],
        f"{block}.1.fn.net.2.weight": [size, 4 * size],
        f"{block}.1.fn.net.2.bias": [size],
    }
    return {key: tensor(key, shape) for key, shape in shapes.items()}


def write_head(folder: Path, *, layers: bool) -> Path:
    """attn_pool.pt beside an adapter."""
    torch.save(head_weights(layers=layers), folder / "attn_pool.pt")
    return folder


def write_all(folder: Path) -> None:
    for name in CHECKPOINTS:
        write(name, folder / name)
    for name, layers in (("adapter", None), ("adapter-last", False), ("adapter-layers", True)):
        write_adapter(folder / name, folder / "mistral")
        if layers is not None:
            write_head(folder / name, layers=layers)
    write_adapter(folder / "adapter-llama3", folder / "llama3")
    write_lens(folder / "lens")
    write_nv_embed(folder / "nv-embed")


if __name__ == "__main__":
    write_all(Path(sys.argv[1]))
