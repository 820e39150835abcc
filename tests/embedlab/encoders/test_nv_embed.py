"""NV-Embed's published layout: its keys, and what happens where they are not as they should be."""

import json

import checkpoints
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import MistralConfig, MistralModel

from embedlab.encoders import nv_embed
from embedlab.encoders.methods import recognise
from embedlab.errors import UserError


def test_keys_and_shapes_of_the_published_model():
    with torch.device("meta"):
        config = MistralConfig(
            vocab_size=32000,
            hidden_size=4096,
            intermediate_size=14336,
            num_hidden_layers=32,
            num_attention_heads=32,
            num_key_value_heads=8,
        )
        shapes = {
            f"embedding_model.{k}": list(v.shape)
            for k, v in MistralModel(config).state_dict().items()
        }
        head = nv_embed.LatentAttentionPooling().state_dict()
    shapes |= {f"latent_attention_model.{key}": list(value.shape) for key, value in head.items()}
    wanted = {
        "embedding_model.embed_tokens.weight": [32000, 4096],
        "embedding_model.norm.weight": [4096],
    }
    for n in range(32):
        layer = f"embedding_model.layers.{n}"
        wanted |= {f"{layer}.self_attn.{name}_proj.weight": [4096, 4096] for name in "qo"}
        wanted |= {f"{layer}.self_attn.{name}_proj.weight": [1024, 4096] for name in "kv"}
        wanted |= {f"{layer}.mlp.{name}_proj.weight": [14336, 4096] for name in ("gate", "up")}
        wanted |= {f"{layer}.mlp.down_proj.weight": [4096, 14336]}
        wanted |= {
            f"{layer}.{name}_layernorm.weight": [4096] for name in ("input", "post_attention")
        }
    block = "latent_attention_model.cross_attend_blocks"
    wanted |= {f"{block}.{name}.{part}": [4096] for name in ("0.norm", "0.norm_context", "1.norm")
               for part in ("weight", "bias")}  # fmt: skip
    wanted |= {
        "latent_attention_model.latents": [512, 4096],
        f"{block}.0.fn.to_q.weight": [32768, 4096],
        f"{block}.0.fn.to_kv.weight": [65536, 4096],
        f"{block}.0.fn.to_out.weight": [4096, 32768],
        f"{block}.1.fn.net.0.weight": [32768, 4096],
        f"{block}.1.fn.net.0.bias": [32768],
        f"{block}.1.fn.net.2.weight": [4096, 16384],
        f"{block}.1.fn.net.2.bias": [4096],
    }
    assert shapes == wanted


def test_sharded_and_whole_are_the_same_model(tmp_path):
    vectors = [
        nv_embed.load(checkpoints.write_nv_embed(tmp_path / str(n), shards=n), device="cpu").encode(
            ["judo throws"]
        )
        for n in (1, 3)
    ]
    assert np.array_equal(*vectors)


def test_a_folder_is_recognised_by_its_config(tmp_path):
    assert recognise(checkpoints.write_nv_embed(tmp_path)) == "nv-embed"


def test_half_precision_weights(tmp_path):
    folder = checkpoints.write_nv_embed(tmp_path)
    model = nv_embed.load(folder, device="cpu", dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    whole = nv_embed.load(folder, device="cpu")
    assert float((model.encode(["judo"]) * whole.encode(["judo"])).sum()) > 0.99


def test_every_missing_and_misshapen_key_is_named(tmp_path):
    folder = checkpoints.write_nv_embed(tmp_path)
    weights = load_file(folder / "model.safetensors")
    for key in ("latent_attention_model.latents", "embedding_model.layers.1.mlp.up_proj.weight"):
        del weights[key]
    weights["latent_attention_model.cross_attend_blocks.0.fn.to_q.weight"] = torch.zeros(3, 64)
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(UserError) as error:
        nv_embed.load(folder, device="cpu")
    for part in (
        "latent_attention_model.latents",
        "layers.1.mlp.up_proj.weight",
        "to_q.weight [3, 64] instead of [64, 64]",
    ):
        assert part in str(error.value)


def test_a_folder_without_weights(tmp_path):
    folder = checkpoints.write_nv_embed(tmp_path)
    (folder / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"holds no model\.safetensors"):
        nv_embed.load(folder, device="cpu")


def test_a_folder_with_a_sentencepiece_model_alone(tmp_path):
    folder = checkpoints.write_nv_embed(tmp_path)
    (folder / "tokenizer.json").rename(folder / "tokenizer.model")
    with pytest.raises(UserError, match=r"no tokenizer\.json"):
        nv_embed.load(folder, device="cpu")


def test_a_text_longer_than_the_model_is_cut_to_its_positions(tmp_path):
    folder = checkpoints.write_nv_embed(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["max_position_embeddings"] = 32
    (folder / "config.json").write_text(json.dumps(config))
    model = nv_embed.load(folder, device="cpu")
    assert model.max_seq_length == 32
    assert model.preprocess(["judo " * 100])["input_ids"].shape == (1, 32)
