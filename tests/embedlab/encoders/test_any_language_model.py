"""Language models of any architecture without training: those that transformers makes at random,
saved as it saves them.
"""

import numpy as np
import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModel, AutoModelForCausalLM

import embedlab
from embedlab.bases import folders
from embedlab.encoders.modules import attention

WIDTH, LAYERS = 32, 3
TEXT = "w1 w2 w3 w4 w5"
# What a configuration of each calls its sizes, beside the common names.
KINDS = {
    "llama": {"num_key_value_heads": 2},
    "qwen2": {"num_key_value_heads": 2},
    "gemma2": {"num_key_value_heads": 2, "head_dim": 16, "sliding_window": 4},
    "gpt2": {"n_positions": 64},
    "gpt_neox": {},
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": WIDTH},
    "bloom": {},
    "mamba": {"state_size": 4},
}


@pytest.fixture(scope="module", params=list(KINDS))
def model(request, tmp_path_factory, word_tokenizer):
    """A type of model, and a folder with a random one of it."""
    folder = tmp_path_factory.mktemp(request.param)
    sizes = {"hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": 2}
    config = CONFIG_MAPPING[request.param](
        **{"vocab_size": len(word_tokenizer), "intermediate_size": 48, "pad_token_id": 0},
        **{"bos_token_id": 2, "eos_token_id": 3},
        **sizes,
        **KINDS[request.param],
    )
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    word_tokenizer.save_pretrained(folder)
    return request.param, folder


@torch.no_grad()
def states(folder, ids):
    return AutoModel.from_pretrained(folder).eval()(torch.tensor([ids])).last_hidden_state[0]


def test_its_mean_and_its_last_token(model, home):
    _, folder = model
    mean, last = (embedlab.load(f"{form}({folder})", device="cpu") for form in ("mean", "last"))
    (row,) = mean[0].rows([TEXT])
    whole = states(folder, row.ids)
    np.testing.assert_allclose(mean.encode(TEXT), whole[row.first :].mean(0), atol=2e-5)
    np.testing.assert_allclose(last.encode(TEXT), whole[-1], atol=2e-5)


def test_its_first_layers(model, home):
    _, folder = model
    cut = folders.folder(f"{folder}@layers=2")
    first = embedlab.load(f"last({folder}@layers=2)", device="cpu")
    whole = AutoModel.from_pretrained(folder).eval()
    layers = attention.layers_of(whole)
    del layers[2:]
    whole.config.num_hidden_layers = 2
    ids = first[0].rows([TEXT])[0].ids
    with torch.no_grad():
        expected = whole(torch.tensor([ids])).last_hidden_state[0, -1]
    np.testing.assert_allclose(first.encode(TEXT), expected, atol=2e-5)
    assert AutoModel.from_pretrained(cut).config.num_hidden_layers == 2


def test_unmasked_every_token_sees_all_others(model, home, cli):
    """Beyond a sliding window too; where nothing can be unmasked, this is said."""
    kind, folder = model
    if kind == "mamba":
        code, _, err = cli("eval", "--model", f"bidirectional({folder})", "--task", "stdlib-mini")
        assert code == 2 and "of type mamba has layers without attention" in err
        return
    found = embedlab.load(f"bidirectional({folder})", device="cpu")[0]
    ids = torch.tensor([range(5, 35)] * 2)
    ids[1, -1] = 40
    with torch.no_grad():
        one, other = found.states(torch.ones_like(ids), input_ids=ids).last_hidden_state[:, 0]
    assert (one - other).abs().max() > 1e-6
