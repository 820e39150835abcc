"""New bases: what they take over from trained words, and what does not fit."""

import pytest
import torch
from transformers import AutoModel, AutoModelForCausalLM

from embedlab.errors import UserError
from embedlab.training.new_base import write_random

SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}


@pytest.fixture
def words(tmp_path, tokenizer):
    """A Llama without layers, its norm not all ones."""
    folder = tmp_path / "words"
    write_random(folder, tokenizer, "llama", **SIZES | {"num_hidden_layers": 0})
    model = AutoModel.from_pretrained(folder)
    torch.nn.init.uniform_(model.norm.weight, 0.5, 2.0)
    model.save_pretrained(folder)
    return folder


def test_a_decoder_starts_from_words(tmp_path, tokenizer, words):
    write_random(
        tmp_path / "new", tokenizer, "llama", words=words, tie_word_embeddings=False, **SIZES
    )
    model, source = AutoModel.from_pretrained(tmp_path / "new"), AutoModel.from_pretrained(words)
    assert torch.equal(model.get_input_embeddings().weight, source.get_input_embeddings().weight)
    assert torch.equal(model.norm.weight, source.norm.weight)


def test_an_encoder_starts_from_words(tmp_path, tokenizer, words):
    write_random(tmp_path / "new", tokenizer, "bert", words=words, **SIZES)
    model, source = AutoModel.from_pretrained(tmp_path / "new"), AutoModel.from_pretrained(words)
    assert torch.equal(model.get_input_embeddings().weight, source.get_input_embeddings().weight)
    assert torch.equal(model.embeddings.LayerNorm.weight, source.norm.weight)


def test_tied_output_embeddings_start_with_logits_of_unit_variance(tmp_path, tokenizer, words):
    write_random(
        tmp_path / "new", tokenizer, "llama", words=words, tie_word_embeddings=True, **SIZES
    )
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "new")
    assert model.model.norm.weight.square().mean().sqrt().item() == pytest.approx(
        32**-0.5, rel=1e-3
    )
    with torch.inference_mode():
        logits = model(torch.randint(5, 300, (4, 16))).logits
    assert 0.5 < logits.std().item() < 2


def test_words_of_another_width_are_refused(tmp_path, tokenizer, words):
    with pytest.raises(UserError, match=r"32\] embeddings, the new base \[\d+, 64"):
        write_random(
            tmp_path / "new", tokenizer, "llama", words=words, **SIZES | {"hidden_size": 64}
        )
