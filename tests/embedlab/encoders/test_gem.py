"""GEM: its training mask, and a language model that still generates."""

import checkpoints
import pytest
import torch

from embedlab.encoders import gem
from embedlab.errors import UserError
from embedlab.training import untrained


@pytest.mark.parametrize(
    ("prefix", "special", "suffix"), [(3, 2, 4), (1, 1, 1), (0, 2, 3), (4, 3, 0)]
)
def test_the_training_mask_is_that_of_a_double_loop(prefix, special, suffix):
    mask = gem.training_mask(prefix, special, suffix)
    length = prefix + special + suffix
    assert mask.shape == (length, length)
    for row in range(length):
        for column in range(length):
            sees = column <= row
            if row >= prefix + special and column < prefix:
                sees = False  # the suffix reads the prefix through the special tokens alone
            if (
                prefix <= row < prefix + special
                and prefix <= column < prefix + special
                and row != column
            ):
                sees = False  # special tokens are blind to each other
            assert bool(mask[row, column]) == sees


def test_the_suffix_learns_of_the_prefix_through_the_special_tokens_alone(tmp_path):
    model = gem.create(
        checkpoints.write_backbone(tmp_path, "llama", language_model=True, num_hidden_layers=1),
        tokens=1,
        device="cpu",
    )[0].model
    mask = gem.training_mask(3, 1, 2)[None, None]
    ids = torch.tensor([[300, 301, 302, len(model.get_input_embeddings().weight) - 1, 304, 305]])
    other = ids.clone()
    other[0, 0] = 310
    with torch.no_grad():
        before, after = (
            model.model(input_ids=x, attention_mask=mask).last_hidden_state[0] for x in (ids, other)
        )
    moved = (before - after).abs().amax(-1) > 1e-6
    # With one layer the change has reached the special token and not yet gone on.
    assert moved.tolist() == [True, True, True, True, False, False]


def test_the_same_weights_generate_the_same_tokens(tmp_path):
    folder = checkpoints.write_backbone(tmp_path / "llm", "llama", language_model=True)
    from transformers import AutoModelForCausalLM, AutoTokenizer

    plain, tokenizer = (
        AutoModelForCausalLM.from_pretrained(folder),
        AutoTokenizer.from_pretrained(folder),
    )
    model = gem.create(folder, tokens=4, device="cpu")
    settings = {"max_new_tokens": 24, "do_sample": False}
    for text in ("are judo throws", "the weather"):
        inputs = tokenizer(text, return_tensors="pt")
        before = plain.generate(**inputs, **settings)
        model.encode([text])
        assert torch.equal(before, model[0].model.generate(**inputs, **settings))
        continuation = tokenizer.decode(
            before[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True
        )
        assert gem.generate(model, text, **settings) == continuation

    model.save(str(tmp_path / "gem"))
    again = gem.load(tmp_path / "gem", device="cpu")
    assert gem.generate(again, "the weather", **settings) == continuation


def test_a_folder_that_is_no_gem(tmp_path):
    with pytest.raises(UserError, match="holds no trained GEM"):
        gem.load(checkpoints.write_backbone(tmp_path, "llama", language_model=True))


def test_a_gem_without_tokens(tmp_path):
    with pytest.raises(UserError, match="at least one special token"):
        gem.create(tmp_path, tokens=0)


def test_a_model_without_its_head_does_not_generate(tmp_path):
    folder = checkpoints.write_backbone(tmp_path, "llama")
    model = untrained.decoder(folder).to("cpu")
    with pytest.raises(UserError, match="no head that generates"):
        gem.generate(model, "judo")
