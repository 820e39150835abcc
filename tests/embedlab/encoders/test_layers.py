"""One forward pass gives what each truncated model gives."""

import copy

import numpy as np
import pytest
import torch
import transformers as tf
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

from embedlab.encoders.modules.layers import (
    layer_outputs,
    number_of_layers,
    slice_and_normalise,
    truncate,
)
from embedlab.errors import UserError

TEXTS = ["the cat sat on the mat", "a", "dogs run in the park and cats do not", ""]
WORDS = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "a", "cat", "cats", "dogs", "sat", "on",
    "mat", "run", "in", "park", "and", "do", "not",
]  # fmt: skip
SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
BACKBONES = {
    "bert": (tf.BertModel, tf.BertConfig(vocab_size=19, **SMALL)),
    "mpnet": (tf.MPNetModel, tf.MPNetConfig(vocab_size=19, **SMALL)),
    "modernbert": (
        tf.ModernBertModel,
        tf.ModernBertConfig(
            vocab_size=19,
            pad_token_id=0,
            bos_token_id=2,
            eos_token_id=3,
            cls_token_id=2,
            sep_token_id=3,
            **SMALL,
        ),
    ),
    "llama": (tf.LlamaModel, tf.LlamaConfig(vocab_size=19, num_key_value_heads=1, **SMALL)),
    "mistral": (tf.MistralModel, tf.MistralConfig(vocab_size=19, num_key_value_heads=1, **SMALL)),
    "qwen3": (
        tf.Qwen3Model,
        tf.Qwen3Config(vocab_size=19, num_key_value_heads=1, head_dim=8, **SMALL),
    ),
    "gpt2": (tf.GPT2Model, tf.GPT2Config(vocab_size=19, n_embd=16, n_layer=4, n_head=2)),
    "t5": (
        tf.T5EncoderModel,
        tf.T5Config(vocab_size=19, d_model=16, num_layers=4, num_heads=2, d_kv=8, d_ff=32),
    ),
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    def write(name):
        torch.manual_seed(0)
        folder = tmp_path_factory.mktemp(name)
        tf.BertTokenizer({word: i for i, word in enumerate(WORDS)}).save_pretrained(folder)
        model, config = BACKBONES[name]
        model(config).save_pretrained(folder)
        return str(folder)

    return write


def build(folder, pooling="mean", normalise=True):
    modules = [Transformer(folder), Pooling(16, pooling), *([Normalize()] if normalise else [])]
    return SentenceTransformer(modules=modules, device="cpu").eval()


@pytest.mark.parametrize("name", BACKBONES)
def test_each_layer_equals_the_truncated_model(name, checkpoint, tmp_path):
    model = build(checkpoint(name))
    features = model.preprocess(TEXTS)
    with torch.no_grad():
        views = layer_outputs(model, features, [3, 1, 4])
        for view, n in zip(views, [3, 1, 4], strict=True):
            short = truncate(copy.deepcopy(model), n)
            short.save(str(tmp_path / str(n)))
            reloaded = SentenceTransformer(str(tmp_path / str(n)), device="cpu")
            assert number_of_layers(short) == number_of_layers(reloaded) == n
            assert torch.equal(view, short(dict(features))["sentence_embedding"])
            assert torch.equal(view, reloaded(dict(features))["sentence_embedding"])
    assert not torch.allclose(views[0], views[1], atol=1e-3)


def test_states_of_bert_and_of_a_decoder(checkpoint):
    """BERT: the hidden state itself; Llama: the final norm of the hidden state."""
    for name, norm in (
        ("bert", lambda backbone, h: h),
        ("llama", lambda backbone, h: backbone.norm(h)),
    ):
        model = build(checkpoint(name), "cls", normalise=False)
        features = model.preprocess(TEXTS)
        backbone = model[0].model
        with torch.no_grad():
            views = layer_outputs(model, features, [1, 2, 3])
            hidden = backbone(
                input_ids=features["input_ids"],
                attention_mask=features["attention_mask"],
                output_hidden_states=True,
            ).hidden_states
        for n in (1, 2, 3):
            assert torch.equal(views[n - 1], norm(backbone, hidden[n])[:, 0])


def test_the_features_and_the_model_stay_as_they_were(checkpoint):
    model = build(checkpoint("bert"))
    features = model.preprocess(TEXTS)
    before = model.encode(TEXTS)
    keys = set(features)
    layer_outputs(model, features, [1])
    assert set(features) == keys
    assert np.array_equal(before, model.encode(TEXTS))


def test_a_layer_the_model_does_not_have(checkpoint):
    model = build(checkpoint("bert"))
    for wrong in (0, 5, -1):
        with pytest.raises(UserError, match=f"no layer {wrong}") as error:
            layer_outputs(model, model.preprocess(TEXTS), [1, wrong])
        assert "1 to 4" in error.value.hint
        with pytest.raises(UserError, match="no layer"):
            truncate(model, wrong)
    assert number_of_layers(model) == 4


def test_models_without_layer_views_are_refused(checkpoint, tmp_path):
    torch.manual_seed(0)
    folder = checkpoint("bert")
    tf.AlbertModel(tf.AlbertConfig(vocab_size=19, embedding_size=8, **SMALL)).save_pretrained(
        tmp_path
    )
    tf.AutoTokenizer.from_pretrained(folder).save_pretrained(tmp_path)
    shared = build(str(tmp_path))  # ALBERT runs one layer many times
    with pytest.raises(UserError, match="no list of layers"):
        number_of_layers(shared)

    class Scaled(Transformer):
        def forward(self, features, **kwargs):
            features = super().forward(features, **kwargs)
            features["token_embeddings"] = features["token_embeddings"] * 2
            return features

    scaled = SentenceTransformer(modules=[Scaled(folder), Pooling(16)], device="cpu")
    with pytest.raises(UserError, match="after its last layer"):
        layer_outputs(scaled, scaled.preprocess(TEXTS), [1])


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_slice_then_normalise(kind):
    vectors = kind(np.random.default_rng(0).normal(size=(5, 8)).astype("float32"))
    assert (slice_and_normalise(vectors, 3, normalise=False) == vectors[:, :3]).all()
    expected = [
        [x / sum(y * y for y in row) ** 0.5 for x in row] for row in vectors[:, :3].tolist()
    ]
    assert np.allclose(slice_and_normalise(vectors, 3, normalise=True), expected, atol=1e-6)
    assert np.isfinite(
        np.asarray(slice_and_normalise(kind(np.zeros((1, 4))), 2, normalise=True))
    ).all()
    for wrong in (0, 9):
        with pytest.raises(UserError, match=f"no {wrong} dimensions"):
            slice_and_normalise(vectors, wrong, normalise=True)


def test_layers_of_every_llm_method(every):
    """Each equals its truncated model, or is refused:
    a pooling over all layers has none of its own.
    """
    name, model = every
    features = model.preprocess(TEXTS, prompt="Find the answer: ")
    with torch.no_grad():
        if "all_layer_embeddings" in model(dict(features)):
            with pytest.raises(UserError, match="reads several layers"):
                layer_outputs(model, features, [2])
            return
        view = layer_outputs(model, features, [2])[0]
        expected = truncate(copy.deepcopy(model), 2)(dict(features))["sentence_embedding"]
    assert torch.allclose(view, expected, atol=1e-6), name
    assert not torch.allclose(view, model(dict(features))["sentence_embedding"], atol=1e-3)
