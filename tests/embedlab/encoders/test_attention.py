"""The one attention setting: masks against double loops,
and the measurement that every load makes.
"""

import checkpoints
import pytest
import torch
from naive import decoder_states
from transformers import AutoConfig, AutoModel

from embedlab.encoders.modules import attention
from embedlab.encoders.modules.decoder import Decoder
from embedlab.encoders.modules.template import Template
from embedlab.errors import UserError


def decoder(folder, kind="mistral", asked="bidirectional", **changes) -> Decoder:
    checkpoints.write_backbone(folder, kind, **changes)
    return Decoder.read(folder, Template(), attention=asked)


@pytest.mark.parametrize("kind", ["mistral", "llama", "qwen2"])
@pytest.mark.parametrize(
    "asked", ["causal", "bidirectional", ["bidirectional", "causal", "bidirectional"]]
)
@pytest.mark.parametrize("kernel", ["sdpa", "eager"])
def test_each_layer_attends_as_asked(tmp_path, kind, asked, kernel):
    made = decoder(tmp_path, kind, asked)
    made.model.set_attn_implementation(kernel)
    kinds = attention.per_layer(asked, 3)
    assert attention.measure(made.backbone, made._probe) == kinds

    ids = torch.tensor([[5, 300, 301, 302, 303, 7]])
    ours = made({"input_ids": ids, "attention_mask": torch.ones_like(ids)})["token_embeddings"][0]
    naive = decoder_states(
        made.model,
        made.model.embed_tokens.weight[ids[0]],
        lambda row, column, n: kinds[n] != "causal" or column <= row,
    )
    assert (ours - naive[-1]).abs().max() <= 1e-5


def test_the_masks_are_those_of_a_double_loop():
    padding = torch.tensor([[1, 1, 1, 0], [0, 0, 1, 1]])
    masks = attention.layer_masks(padding)
    for text in range(2):
        for row in range(4):
            for column in range(4):
                seen = bool(padding[text, column])
                assert masks["bidirectional"][text, 0, row, column] == (seen or row == column)
                assert masks["causal"][text, 0, row, column] == (
                    (seen and column <= row) or row == column
                )


def test_bidirectional_attention_has_no_window(tmp_path):
    made = decoder(tmp_path, sliding_window=4)
    assert made.model.config.sliding_window is None
    ids = torch.arange(300, 320)[None]
    changed = ids.clone()
    changed[0, -1] = 7
    before, after = (
        made({"input_ids": x, "attention_mask": torch.ones_like(x)})["token_embeddings"]
        for x in (ids, changed)
    )
    assert (before[0, 0] - after[0, 0]).abs().max() > 1e-3


def test_the_window_that_would_be_left_is_seen_by_the_measurement(tmp_path):
    checkpoints.write_backbone(tmp_path, sliding_window=4)
    config = AutoConfig.from_pretrained(tmp_path)
    config.is_causal = False
    model = AutoModel.from_pretrained(tmp_path, config=config)
    made = Decoder(model, checkpoints.tokenizer(), Template(), attention="bidirectional")
    with pytest.raises(UserError, match="is causal, but bidirectional was asked"):
        made.on_model_ready(None)


def test_a_model_that_does_not_follow_fails_and_names_both(tmp_path):
    checkpoints.write_backbone(tmp_path, "bert")
    model = AutoModel.from_pretrained(tmp_path)  # an encoder cannot be asked to be causal
    made = Decoder(
        model, checkpoints.tokenizer("bert"), Template(end=["[SEP]"]), attention="causal"
    )
    with pytest.raises(UserError, match=r"is bidirectional, but causal was asked") as error:
        made.on_model_ready(None)
    assert str(tmp_path) in str(error.value)


def test_a_causal_model_passed_off_as_bidirectional(tmp_path):
    checkpoints.write_backbone(tmp_path, "llama")
    made = Decoder(
        AutoModel.from_pretrained(tmp_path),
        checkpoints.tokenizer(),
        Template(),
        attention="bidirectional",
    )
    with pytest.raises(UserError, match="is causal, but bidirectional was asked"):
        made.on_model_ready(None)


def test_unknown_attention(tmp_path):
    with pytest.raises(UserError, match="Unknown attention 'prefix'"):
        decoder(tmp_path, asked="prefix")
    with pytest.raises(UserError, match="names 2 layers, the model has 3"):
        decoder(tmp_path, asked=["causal", "causal"])
