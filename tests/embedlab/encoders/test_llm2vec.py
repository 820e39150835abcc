"""LoRA adapters: merged in order, and refused where they do not fit."""

import checkpoints
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModel

from embedlab.encoders import llm2vec
from embedlab.errors import UserError


def test_merging_adds_both_adapters_to_the_base(tmp_path):
    base = checkpoints.write_backbone(tmp_path / "base", "llama")
    folders = [checkpoints.write_adapter(tmp_path / str(seed), base, seed=seed) for seed in (1, 2)]
    weight = "layers.1.self_attn.q_proj.weight"
    wanted = AutoModel.from_pretrained(base).state_dict()[weight].clone()
    for folder in folders:
        lora = load_file(folder / "adapter_model.safetensors")
        a, b = (
            lora[f"base_model.model.layers.1.self_attn.q_proj.lora_{side}.weight"] for side in "AB"
        )
        wanted += 8 / 4 * b @ a
    model = llm2vec.load(folders[1], base=base, adapters=[str(folders[0])], device="cpu")
    assert torch.allclose(model[0].model.state_dict()[weight], wanted, atol=1e-6)
    assert not isinstance(model[0].model, PeftModel)


def test_the_base_is_the_one_that_the_adapter_names(tmp_path):
    base = checkpoints.write_backbone(tmp_path / "base", "llama")
    adapter = checkpoints.write_adapter(tmp_path / "adapter", base)
    named, given = (
        llm2vec.load(adapter, device="cpu"),
        llm2vec.load(adapter, base=base, device="cpu"),
    )
    assert (named.encode("judo") == given.encode("judo")).all()


def test_an_adapter_with_a_key_too_many(tmp_path):
    base = checkpoints.write_backbone(tmp_path / "base", "llama")
    adapter = checkpoints.write_adapter(tmp_path / "adapter", base)
    lora = load_file(adapter / "adapter_model.safetensors")
    lora["base_model.model.layers.9.self_attn.q_proj.lora_A.weight"] = torch.zeros(4, 64)
    save_file(lora, adapter / "adapter_model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match=r"does not fit LlamaModel: .*layers\.9"):
        llm2vec.load(adapter, base=base, device="cpu")


def test_an_unknown_chat(tmp_path):
    with pytest.raises(UserError, match="Unknown chat 'llama3'") as error:
        llm2vec.load(tmp_path, chat="llama3")
    assert "llama-3" in error.value.hint


def test_a_checkpoint_with_missing_keys_names_them(tmp_path):
    base = checkpoints.write_backbone(tmp_path, "llama")
    weights = load_file(base / "model.safetensors")
    del weights["layers.2.mlp.up_proj.weight"]
    weights["norm.weight"] = torch.ones(3)
    save_file(weights, base / "model.safetensors", {"format": "pt"})
    with pytest.raises(
        UserError, match=r"missing: layers\.2\.mlp\.up_proj\.weight; misshapen: norm\.weight \[3\]"
    ):
        llm2vec.load(base, device="cpu")
