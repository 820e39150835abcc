"""Copies of a model: the same vectors, packed or not,
the model itself unchanged, only the layers that are needed.
"""

import copy

import numpy as np
import pytest
import torch
import transformers as tf
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from torch import nn

from embedlab.encoders.modules.layers import layers_of
from embedlab.encoding import kernels, replicas
from embedlab.encoding.encoder import Encoder
from embedlab.hardware import devices
from embedlab.models import LoadedModel, load
from embedlab.models.cards import Card
from embedlab.options import EncodingOptions

TEXTS = [" ".join(f"w{(7 * n + k) % 200}" for k in range(1 + n)) for n in range(40)]


@pytest.fixture
def decoder(tmp_path, word_tokenizer):
    """A random Llama of 4 layers."""
    torch.manual_seed(0)
    word_tokenizer.save_pretrained(tmp_path)
    config = tf.LlamaConfig(
        vocab_size=len(word_tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=4,
        num_attention_heads=4, num_key_value_heads=2,
    )  # fmt: skip
    tf.LlamaModel(config).save_pretrained(tmp_path)
    model = SentenceTransformer(
        modules=[Transformer(str(tmp_path), max_seq_length=64), Pooling(32)], device="cpu"
    )
    return LoadedModel(Card("decoder", "test", dim=32), lambda: model.eval(), "1", "cpu", "float32")


def packed_layers(model) -> list[nn.Module]:
    return [module for module in model.modules() if "forward" in vars(module)]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_packed_layers_give_the_same_vectors(tiny_folder, dtype):
    model = load(str(tiny_folder), device="cpu", dtype=dtype).encoder
    if not kernels.can_pack(model):
        pytest.skip("oneDNN has no kernels for this dtype here")
    packed = kernels.replica(model, "cpu")
    kernels.pack(packed)
    linear = [module for module in packed.modules() if type(module) is nn.Linear]
    assert len(packed_layers(packed)) == len(linear) > 12
    # One GELU per layer is in the product.
    assert sum(type(module) is nn.Identity for module in packed.modules()) == 3
    tolerance = 1e-6 if dtype == "float32" else 2e-2
    np.testing.assert_allclose(packed.encode(TEXTS), model.encode(TEXTS), atol=tolerance)


def test_the_model_itself_stays_as_it_was(tiny):
    before = copy.deepcopy(tiny.encoder.state_dict())
    twin = kernels.replica(tiny.encoder, "cpu", depth=2)
    kernels.pack(twin)
    assert len(layers_of(twin)) == 2
    assert len(layers_of(tiny.encoder)) == tiny.encoder[0].model.config.num_hidden_layers == 3
    assert not packed_layers(tiny.encoder)
    assert before.keys() == tiny.encoder.state_dict().keys()
    own, shared = next(tiny.encoder.parameters()), next(twin.parameters())
    assert own.data_ptr() == shared.data_ptr()


def test_a_layer_that_differs_when_packed_stays_plain():
    class Scaled(nn.Module):
        """Two children, as in BERT, but something in between."""

        def __init__(self):
            super().__init__()
            self.dense, self.act = nn.Linear(8, 8), nn.GELU()

        def forward(self, states):
            return self.act(2 * self.dense(states))

    torch.manual_seed(0)
    model, states = Scaled().eval(), torch.randn(5, 8)
    expected = model(states)
    kernels.pack(model)
    assert type(model.act) is nn.GELU
    torch.testing.assert_close(model(states), expected)


@pytest.mark.parametrize("kind", ["encoder", "decoder"])
def test_a_truncated_view_runs_its_layers_alone(kind, request, tmp_path, monkeypatch):
    """Equal to the full pass's layer, to the bit; the layers above never run."""
    model = request.getfixturevalue("tiny" if kind == "encoder" else "decoder")
    monkeypatch.setenv("EMBEDLAB_HOME", str(tmp_path / "all"))
    whole, _ = Encoder(model).encode(TEXTS, role="document", layers=[1, 2, None])
    ran: list[int] = []
    layer_class = type(layers_of(model.encoder)[0])
    plain = layer_class.forward

    def counted(self, *arguments, **named):
        ran.append(id(self))
        return plain(self, *arguments, **named)

    monkeypatch.setattr(layer_class, "forward", counted)
    monkeypatch.setenv("EMBEDLAB_HOME", str(tmp_path / "two"))
    alone, _ = Encoder(model, EncodingOptions(workers=1)).encode(TEXTS, role="document", layers=[2])
    assert len(set(ran)) == 2
    np.testing.assert_array_equal(alone[2].read(), whole[2].read())
    assert not np.allclose(alone[2].read(), whole[None].read(), atol=1e-3)


def test_two_workers_give_the_bits_of_one(tiny, tmp_path, monkeypatch):
    found = []
    for copies in (1, 2):
        monkeypatch.setenv("EMBEDLAB_HOME", str(tmp_path / str(copies)))
        encoder = Encoder(tiny, EncodingOptions(workers=copies, batch_tokens=128))
        vectors, cost = encoder.encode(TEXTS, role="document", layers=[1, None])
        assert cost.encoded_texts == len(TEXTS)
        found.append([vectors[layer].read() for layer in (1, None)])
    np.testing.assert_array_equal(found[0], found[1])


def test_a_model_that_cannot_be_copied_works_as_it_is(tiny_folder, home):
    import threading

    model = load(str(tiny_folder), device="cpu", dtype="float32")
    model.encoder.lock = threading.Lock()  # TypeError: cannot pickle
    vectors, cost = Encoder(model, EncodingOptions(workers=2)).encode(
        TEXTS, role="document", layers=[1]
    )
    assert cost.kernels == "plain"
    assert len(vectors[1]) == len(TEXTS)


def test_both_workers_work(tiny):
    import threading

    meeting = threading.Barrier(2, timeout=20)
    pool = replicas.Workers(tiny.encoder, ["cpu", "cpu"])

    def meet(encoder):
        meeting.wait()  # passes only if two are at it
        return id(encoder)

    with pool:
        copies = {pool.submit(meet).result for _ in range(2)}
        assert len({result() for result in copies}) == 2


@pytest.mark.parametrize(
    ("device", "asked", "compiled", "expected"),
    [
        ("cpu", 3, False, ["cpu"] * 3),
        ("cpu", None, True, ["cpu"]),
        ("cuda:1", None, False, ["cuda:1"]),
        ("mps", None, False, ["mps"]),
    ],
)
def test_plan(device, asked, compiled, expected):
    assert devices(device, asked, compiled=compiled) == expected


def test_every_gpu_gets_a_worker(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert devices("cuda") == ["cuda:0", "cuda:1", "cuda:2", "cuda:3"]
    assert devices("cuda", 2) == ["cuda:0", "cuda:1"]


def test_kernels_are_part_of_the_address(tiny, home):
    plain, compiled = Encoder(tiny), Encoder(tiny, EncodingOptions(compiled=True))
    assert plain.ingredients("document", "", None) != compiled.ingredients("document", "", None)
    assert compiled.ingredients("document", "", None)["kernels"] == "compiled"
