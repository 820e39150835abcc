"""The encode loop: the same vectors as sentence-transformers gives,
each text once, out-of-memory survived.
"""

import numpy as np
import pytest
import torch

from embedlab.encoding import batches, forward
from embedlab.encoding.encoder import Encoder
from embedlab.errors import UserError
from embedlab.options import EncodingOptions

RNG = np.random.default_rng(0)
TEXTS = [" ".join(f"w{n}" for n in RNG.integers(0, 200, RNG.integers(1, 90))) for _ in range(60)]


@pytest.fixture
def encoder(tiny, home):
    return Encoder(tiny, EncodingOptions(batch_tokens=256))


def test_equals_sentence_transformers(encoder, tiny):
    vectors, cost = encoder.encode(TEXTS, role="document")
    np.testing.assert_allclose(vectors[None].read(), tiny.encoder.encode(TEXTS), atol=2e-6)
    assert (cost.texts, cost.encoded_texts) == (60, 60)
    lengths = [min(64, len(text.split()) + 2) for text in TEXTS]
    assert cost.tokens == cost.encoded_tokens == sum(lengths)
    assert cost.truncated == sum(length == 64 for length in lengths)
    assert cost.first_tokens[0][:2] == ["[CLS]", TEXTS[0].split()[0]]


def test_the_prompt_goes_in_front(encoder, tiny):
    vectors, cost = encoder.encode(TEXTS[:3], role="query", prompt="q : ")
    np.testing.assert_allclose(
        vectors[None].read(), tiny.encoder.encode(TEXTS[:3], prompt="q : "), atol=2e-6
    )
    assert cost.first_inputs == ["q : " + TEXTS[0]]


def test_nothing_is_encoded_twice(encoder, tiny):
    first, _ = encoder.encode(TEXTS, role="document")
    again, cost = encoder.encode([*reversed(TEXTS), TEXTS[0]], role="document")
    assert cost.encoded_texts == 0
    assert cost.measured_seconds > 0
    np.testing.assert_array_equal(again[None].read()[:60], first[None].read()[::-1])
    _, cost = encoder.encode([*TEXTS, "w1 w2 w3", "w1 w2 w3"], role="document")
    assert cost.encoded_texts == 1
    for different in ({"role": "query"}, {"role": "document", "prompt": "q : "}):
        _, cost = encoder.encode(TEXTS[:2], **different)
        assert cost.encoded_texts == 2
    _, cost = Encoder(tiny, EncodingOptions(store_dtype="float16")).encode(
        TEXTS[:2], role="document"
    )
    assert cost.encoded_texts == 2


def test_layers_come_from_one_pass(encoder, tiny):
    from embedlab.encoders.modules.layers import layer_outputs

    vectors, cost = encoder.encode(TEXTS, role="document", layers=[1, 2, 3])
    assert cost.encoded_texts == 60
    features = tiny.encoder.preprocess(TEXTS[:5])
    with torch.inference_mode():
        expected = layer_outputs(tiny.encoder, features, [1, 2, 3]).numpy()
    for place, layer in enumerate([1, 2, 3]):
        np.testing.assert_allclose(vectors[layer].read(0, 5), expected[place], atol=2e-6)
    _, cost = encoder.encode(TEXTS, role="document")  # the last layer is the model's own output
    assert cost.encoded_texts == 0


def test_no_texts(encoder):
    vectors, cost = encoder.encode([], role="document")
    assert len(vectors[None]) == cost.tokens == 0


def test_empty_and_strange_texts_have_vectors(encoder):
    vectors, _ = encoder.encode(["", " ", "\x00", "é" * 10_000], role="document")
    assert np.isfinite(vectors[None].read()).all()


def test_out_of_memory_halves_the_batch_and_goes_on(encoder, monkeypatch, capsys):
    expected = encoder.encode(TEXTS, role="query")[0][None].read()
    plain, sizes = forward.forward, []

    def small_memory(model, features, role):
        sizes.append(features["input_ids"].numel())
        if sizes[-1] > 100:
            raise torch.OutOfMemoryError("no")
        return plain(model, features, role)

    monkeypatch.setattr(forward, "forward", small_memory)
    vectors, _ = encoder.encode(TEXTS, role="document")
    np.testing.assert_allclose(vectors[None].read(), expected, atol=2e-6)
    assert "Out of memory: going on with 128 tokens per batch." in capsys.readouterr().err
    assert encoder.batch_tokens < 128


def test_out_of_memory_on_one_text_is_one_clear_error(encoder, monkeypatch):
    def no_memory(*_):
        raise torch.OutOfMemoryError("no")

    monkeypatch.setattr(forward, "forward", no_memory)
    with pytest.raises(UserError, match="out of memory on a single text"):
        encoder.encode(TEXTS, role="document")


def test_shards_do_not_depend_on_what_was_done_before(monkeypatch):
    monkeypatch.setattr(batches, "SHARD_CHARACTERS", 1000)
    lengths = np.array([len(text) for text in TEXTS])
    order = np.argsort(-lengths, kind="stable")
    whole = list(batches.shards(order, lengths[order]))
    assert len(whole) > 5
    rest = np.concatenate(whole[2:])
    rest = list(batches.shards(rest, lengths[rest]))
    assert [part.tolist() for part in rest] == [part.tolist() for part in whole[2:]]
