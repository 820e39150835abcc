"""Causal2Vec's named choices."""

from copy import copy

import checkpoints
import numpy as np
import pytest

from embedlab.encoders import causal2vec
from embedlab.errors import UserError


@pytest.fixture(scope="module")
def create(tmp_path_factory):
    folder = tmp_path_factory.mktemp("causal2vec")
    llm = checkpoints.write_backbone(folder / "llm", "llama")
    encoder = checkpoints.write_backbone(folder / "encoder", "bert", seed=1)

    def build(**choices):
        checkpoints.torch.manual_seed(0)
        return causal2vec.create(llm, encoder, device="cpu", **choices)

    return build


@pytest.mark.parametrize(
    ("choice", "place"), [("first", 0), ("after_bos", 1), ("after_instruction", 4)]
)
def test_where_the_contextual_token_stands(create, choice, place):
    features = create(context_position=choice).preprocess(
        ["judo", "judo throws"], prompt="are judo throws"
    )
    assert features["context_mask"].argmax(-1).tolist() == [place, place]
    assert features["attention_mask"].sum(-1).tolist() == [7, 8]


def test_the_embedding_joins_the_context_and_eos(create):
    plain, turned = create(), create(concat_order=("eos", "context"))
    vector, half = plain.encode("judo"), plain[0].get_embedding_dimension()
    assert plain.get_embedding_dimension() == len(vector) == 2 * half
    assert np.allclose(turned.encode("judo"), np.concatenate([vector[half:], vector[:half]]))
    scaled = create(normalize_parts=True).encode("judo")
    assert np.allclose(scaled[:half], vector[:half] / np.linalg.norm(vector[:half]), atol=1e-6)
    assert np.allclose(scaled[half:], vector[half:] / np.linalg.norm(vector[half:]), atol=1e-6)


def test_whether_the_context_holds_the_instruction(create):
    lengths = [
        create(encode_instruction_in_context=choice)
        .preprocess(["judo"], prompt="are ")["context_input_ids"]
        .shape[1]
        for choice in (False, True)
    ]
    assert lengths == [3, 4]


def test_how_the_context_is_pooled(create):
    cls, mean = (create(context_pooling=choice).encode("judo throws") for choice in ("cls", "mean"))
    assert np.abs(cls - mean).max() > 1e-3


@pytest.mark.parametrize(
    "wrong", [{"context_position": "last"}, {"context_pooling": "max"}, {"concat_order": ("eos",)}]
)
def test_unknown_choices(create, wrong):
    with pytest.raises(UserError, match="Unknown") as error:
        create(**wrong)
    assert "Valid" in error.value.hint


def test_a_folder_that_holds_none(tmp_path):
    with pytest.raises(UserError, match="holds no trained Causal2Vec"):
        causal2vec.load(tmp_path)


def test_its_tokenizer_can_be_set_like_any_models(create):
    model = create()
    other = copy(model.tokenizer)
    model.tokenizer = other
    assert model.tokenizer is other and model[0].decoder.tokenizer is other
