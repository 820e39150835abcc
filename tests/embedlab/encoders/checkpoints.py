"""Tiny random checkpoints in the layouts of the published models, written where a test wants them.

Run as a program it writes one NV-Embed checkpoint: `python tests/embedlab/encoders/checkpoints.py
FOLDER`.
"""

import json
import sys
from functools import cache
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    BertConfig,
    LlamaConfig,
    MistralConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
)

TEXTS = [
    (
        "Instruct: Given a question, retrieve passages that answer the question\nQuery: are judo"
        " throws allowed?"
    ),
    "how to become a radiology technician in michigan?",
    "Since you're reading this, you are probably someone from a judo background or wrestling.",
    (
        "Below are the basic steps to becoming a radiologic technologist in Michigan: earn a high"
        " school diploma."
    ),
    "The weather is lovely today, and 42 cats sat on the mat. Candidate: [INST] a passage [/INST]",
    (
        "Represent the query for searching relevant passages; the answer follows the example of the"
        " task."
    ),
]
SIZES = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
}


@cache
def _trained(kind: str, specials: tuple[str, ...]) -> str:
    """A tokenizer trained on TEXTS, as JSON: "llama"
    (metaspace, byte fallback), "qwen" (byte level) or "bert".
    """
    if kind == "bert":
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(
            vocab_size=400, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        )
        tokenizer.train_from_iterator(TEXTS, trainer)
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]",
            pair="[CLS] $A [SEP] $B [SEP]",
            special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
        )
        return tokenizer.to_str()
    if kind == "qwen":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=500,
            special_tokens=list(specials),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        )
        tokenizer.train_from_iterator(TEXTS, trainer)
        return tokenizer.to_str()
    # As Llama and Mistral: spaces become U+2581, one is put in front,
    # and unknown characters fall back to bytes.
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    # Split for the training alone: without it, whole sentences would become pieces.
    tokenizer.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<unk>", "<s>", "</s>", *[f"<0x{byte:02X}>" for byte in range(256)]],
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    trained = json.loads(tokenizer.to_str())
    trained["pre_tokenizer"] = None
    trained["added_tokens"] = [
        t for t in trained["added_tokens"] if not t["content"].startswith("<0x")
    ]
    tokenizer = Tokenizer.from_str(json.dumps(trained))
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)]
    )
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in specials])
    return tokenizer.to_str()


def tokenizer(kind: str = "llama", specials: tuple[str, ...] = ()) -> PreTrainedTokenizerFast:
    """A small tokenizer of one of the three families; `specials` are further special tokens."""
    names = {
        "llama": {
            "bos_token": "<s>",
            "eos_token": "</s>",
            "unk_token": "<unk>",
            "pad_token": "</s>",
        },
        "qwen": {"eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"},
        "bert": {
            "cls_token": "[CLS]",
            "sep_token": "[SEP]",
            "pad_token": "[PAD]",
            "unk_token": "[UNK]",
            "mask_token": "[MASK]",
        },
    }[kind]
    if kind == "qwen":
        specials = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", *specials)
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(_trained(kind, specials)), **names
    )


def config(kind: str, vocabulary: int, **changes):
    """The tiny configuration of a backbone: "mistral", "llama", "qwen2" or "bert"."""
    classes = {
        "mistral": MistralConfig,
        "llama": LlamaConfig,
        "qwen2": Qwen2Config,
        "bert": BertConfig,
    }
    sizes = {
        key: value for key, value in SIZES.items() if kind != "bert" or key != "num_key_value_heads"
    }
    marks = (
        {}
        if kind in ("bert", "qwen2")
        else {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}
    )
    return classes[kind](vocab_size=vocabulary, **{**sizes, **marks, **changes})


def write_backbone(
    folder: Path,
    kind: str = "mistral",
    *,
    language_model: bool = False,
    specials: tuple[str, ...] = (),
    seed: int = 0,
    **changes,
) -> Path:
    """A tiny model with its tokenizer, as `save_pretrained` lays it out."""
    words = tokenizer({"bert": "bert", "qwen2": "qwen"}.get(kind, "llama"), specials)
    torch.manual_seed(seed)
    model = (AutoModelForCausalLM if language_model else AutoModel).from_config(
        config(kind, len(words), **changes)
    )
    _spread(model)
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return Path(folder)


def write_nv_embed(
    folder: Path,
    *,
    shards: int = 1,
    latents: int = 4,
    heads: int = 2,
    width: int = 32,
    seed: int = 0,
) -> Path:
    """A tiny NV-Embed in its published layout:
    one or more safetensors shards, model_type "nvembed".

    The sizes of the real head (512 latents, 8 heads of 4096) stand in `latent_attention_config`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    words = tokenizer()
    words.save_pretrained(folder)
    torch.manual_seed(seed)
    text_config = config("mistral", len(words))
    backbone = AutoModel.from_config(text_config)
    _spread(backbone)
    size = text_config.hidden_size
    weights = {f"embedding_model.{key}": value for key, value in backbone.state_dict().items()}
    weights["latent_attention_model.latents"] = torch.randn(latents, size)
    weights |= _cross_attention("latent_attention_model.cross_attend_blocks", size, heads, width)
    write_shards(folder, weights, shards)
    (folder / "config.json").write_text(
        json.dumps(
            {
                "model_type": "nvembed",
                "architectures": ["NVEmbedModel"],
                "auto_map": {"AutoModel": "modeling_nvembed.NVEmbedModel"},
                "hidden_size": size,
                "padding_side": "right",
                "add_eos": True,
                "add_pad_token": True,
                "is_mask_instruction": True,
                "mask_type": "b",
                "latent_attention_config": {
                    "model_type": "latent_attention",
                    "num_latents_value": latents,
                    "num_cross_heads": heads,
                    "hidden_dim": size,
                    "latent_dim": size,
                    "cross_dim_head": width,
                },
                "text_config": text_config.to_diff_dict() | {"model_type": "bidir_mistral"},
            }
        ),
        encoding="utf-8",
    )
    return folder


def write_adapter(folder: Path, base: Path, *, seed: int = 0, language_model: bool = False) -> Path:
    """A LoRA adapter on all linear layers of `base`, both factors random, as peft saves it."""
    model = (AutoModelForCausalLM if language_model else AutoModel).from_pretrained(base)
    torch.manual_seed(seed)
    layers = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    adapted = get_peft_model(
        model, LoraConfig(r=4, lora_alpha=8, target_modules=layers, init_lora_weights=False)
    )
    adapted.save_pretrained(folder)
    return Path(folder)


def write_attn_pool(
    folder: Path, *, layers: bool = True, latents: int = 4, heads: int = 2, width: int = 32
) -> None:
    """The head of multi-layer trainable pooling, attn_pool.pt, with random weights."""
    torch.manual_seed(4)
    size = SIZES["hidden_size"]
    weights = {
        "latents": torch.randn(latents, size),
        **_cross_attention("cross_attend_blocks", size, heads, width),
    }
    if layers:
        weights["pos_emb.weight"] = torch.randn(SIZES["num_hidden_layers"], size)
    torch.save(weights, Path(folder) / "attn_pool.pt")


def _cross_attention(block: str, size: int, heads: int, width: int) -> dict[str, torch.Tensor]:
    """Random weights of the cross-attention block that NV-Embed and multi-layer pooling share."""
    return {
        f"{block}.0.norm.weight": 1 + torch.randn(size) / 10,
        f"{block}.0.norm.bias": torch.randn(size) / 10,
        f"{block}.0.norm_context.weight": 1 + torch.randn(size) / 10,
        f"{block}.0.norm_context.bias": torch.randn(size) / 10,
        f"{block}.0.fn.to_q.weight": torch.randn(heads * width, size) / 8,
        f"{block}.0.fn.to_kv.weight": torch.randn(2 * heads * width, size) / 8,
        f"{block}.0.fn.to_out.weight": torch.randn(size, heads * width) / 8,
        f"{block}.1.norm.weight": 1 + torch.randn(size) / 10,
        f"{block}.1.norm.bias": torch.randn(size) / 10,
        f"{block}.1.fn.net.0.weight": torch.randn(8 * size, size) / 8,
        f"{block}.1.fn.net.0.bias": torch.randn(8 * size),
        f"{block}.1.fn.net.2.weight": torch.randn(size, 4 * size) / 8,
        f"{block}.1.fn.net.2.bias": torch.randn(size),
    }


def write_shards(folder: Path, weights: dict[str, torch.Tensor], shards: int = 1) -> None:
    """`weights` as model.safetensors, or as numbered shards with their index."""
    weights = {key: value.contiguous() for key, value in weights.items()}
    if shards == 1:
        save_file(weights, folder / "model.safetensors")
        return
    index = {}
    for shard in range(shards):
        name = f"model-{shard + 1:05d}-of-{shards:05d}.safetensors"
        part = {key: weights[key] for key in sorted(weights)[shard::shards]}
        save_file(part, folder / name)
        index |= dict.fromkeys(part, name)
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": index})
    )


def _spread(model: torch.nn.Module) -> None:
    """Larger weights than at initialisation,
    so that every token and every layer shows in the output.
    """
    for name, weight in model.named_parameters():
        if weight.dim() > 1:
            torch.nn.init.normal_(weight, std=1.0 if "embed" in name else 0.15)


if __name__ == "__main__":
    print(write_nv_embed(Path(sys.argv[1])))
