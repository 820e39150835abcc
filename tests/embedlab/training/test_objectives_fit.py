"""An objective that does not fit the model is one clear error when the stage is set up."""

import pytest

from embedlab.errors import UserError
from embedlab.training import objectives, untrained

RECIPE = """
method = "{method}"
base = "{base}"
seed = 7
[settings]
[data]
path = "{pairs}"
[[stages]]
objective = "{objective}"
steps = 2
batch_size = 4
learning_rate = 1e-3
precision = "float32"
"""


@pytest.mark.parametrize("objective", ["next-token", "masked-next-token", "gem"])
def test_objectives_of_decoders_refuse_encoders(objective, encoder):
    model = untrained.build("encoder", encoder, {})
    with pytest.raises(UserError, match="model on a decoder"):
        objectives.build(objective, model, {})


def test_grl_refuses_encoders_where_it_generates(encoder):
    loss = objectives.build("grl", untrained.build("encoder", encoder, {}), {})
    with pytest.raises(UserError, match="model on a decoder"):
        loss.log_likelihood(*[dict.fromkeys(("input_ids", "attention_mask"))] * 2)


@pytest.mark.parametrize("objective", ["smae", "dupmae"])
def test_objectives_of_berts_refuse_decoders(objective, decoder):
    model = untrained.build("decoder", decoder, {})
    with pytest.raises(UserError, match="needs a BERT"):
        objectives.build(objective, model, {})


@pytest.mark.parametrize("objective", ["smae", "starbucks"])
def test_sizes_have_to_be_named_somewhere(objective, encoder):
    model = untrained.build("encoder", encoder, {})
    with pytest.raises(UserError, match="names no"):
        objectives.build(objective, model, {})
    assert objectives.build(objective, model, {"pairs": [[2, 8], [4, 32]]}).pairs == [
        (2, 8),
        (4, 32),
    ]


@pytest.mark.parametrize("method", ["llm2vec", "echo"])
def test_gem_needs_tokens_at_the_end_of_the_text(method, decoder):
    model = untrained.build(method, decoder, {})
    with pytest.raises(UserError, match="none there"):
        objectives.build("gem", model, {})


def test_the_command_says_it_and_leaves_nothing(cli, home, encoder, pairs_file, tmp_path):
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(
        RECIPE.format(method="encoder", base=encoder, pairs=pairs_file, objective="next-token")
    )
    code, _, err = cli("train", recipe, "--out", tmp_path / "trained", "--device", "cpu")
    assert code == 2 and "model on a decoder" in err and "Traceback" not in err
    assert not (tmp_path / "trained" / "modules.json").exists()


@pytest.mark.parametrize(
    ("method", "objective", "kind"),
    [
        ("encoder", "maxsim", "dense"),
        ("encoder", "splade", "dense"),
        ("colbert", "contrastive", "late-interaction"),
        ("colbert", "distil", "late-interaction"),
        ("echo-splade", "maxsim", "sparse"),
    ],
)
def test_objectives_are_for_vectors_of_their_kind(method, objective, kind, encoder, decoder):
    """`maxsim` on a dense model trained nothing: its loss is 0."""
    model = untrained.build(method, decoder if method == "echo-splade" else encoder, {})
    with pytest.raises(UserError, match=f"and this one is {kind}"):
        objectives.build(objective, model, {})
