"""What each option of `embedlab train` changes."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from embedlab.training import untrained
from tests.gem_recipe import HEAD

RECIPE = (
    HEAD
    + """[[stages]]
objective = "contrastive"
steps = 2
batch_size = 4
learning_rate = 1e-3
precision = "float32"
"""
)


@pytest.mark.effect(
    "train --base", "train --out", "train --untrained", "train --device", "train --json"
)
def test_every_option(cli, home, decoder, encoder, pairs_file, tmp_path):
    (tmp_path / "tiny.toml").write_text(RECIPE.format(base="nowhere", pairs=pairs_file))
    command = ("train", tmp_path / "tiny.toml", "--base", decoder, "--json")
    code, out, err = cli(*command, "--out", tmp_path / "trained", "--device", "cpu")
    assert code == 0, err
    record = json.loads(out)
    assert record["model"] == str(tmp_path / "trained") and record["final_loss"]
    code, out, err = cli(*command, "--untrained")
    assert code == 0, err
    assert json.loads(out)["model"] == str(home / "trained" / "tiny-untrained")
    trained, untrained = (
        {
            key: value
            for path in sorted(folder.rglob("*.safetensors"))
            for key, value in load_file(path).items()
        }
        for folder in (tmp_path / "trained", home / "trained" / "tiny-untrained")
    )
    assert trained.keys() == untrained.keys() and any(
        not trained[key].equal(untrained[key]) for key in trained
    )
    code, _, err = cli("train", tmp_path / "tiny.toml")
    assert code == 2 and "nowhere" in err
    code, _, err = cli(*command, "--device", "cuda:99")
    assert code == 2 and "cuda:99" in err


@pytest.mark.parametrize(
    ("key", "in_stage", "valid"),
    [
        ("method", False, "causal2vec"),
        ("dtype", False, "bfloat16"),
        ("objective", True, "contrastive"),
        ("precision", True, "bfloat16"),
        ("schedule", True, "cosine"),
        ("optimizer", True, "adamw_torch"),
    ],
)
def test_a_choice_that_does_not_exist_is_refused_before_any_work(
    cli, home, pairs_file, tmp_path, key, in_stage, valid
):
    lines = RECIPE.format(base="nowhere", pairs=pairs_file).splitlines()
    lines = [line for line in lines if line.partition(" =")[0] != key]
    at = lines.index("[[stages]]") + 1 if in_stage else 0
    lines.insert(at, f'{key} = "float99"')
    (tmp_path / "tiny.toml").write_text("\n".join(lines))
    code, _, err = cli("train", tmp_path / "tiny.toml", "--out", tmp_path / "model")
    assert code == 2 and "float99" in err and valid in err
    assert f"tiny.toml:{at + 1}" in "".join(err.split())
    assert not (tmp_path / "model").exists()


def test_a_loss_that_is_no_number_ends_the_training(cli, home, decoder, pairs_file, tmp_path):
    lost = RECIPE.replace("1e-3", "1e30").replace("steps = 2", "steps = 3")
    (tmp_path / "lost.toml").write_text(lost.format(base=decoder, pairs=pairs_file))
    code, _, err = cli("train", tmp_path / "lost.toml", "--out", tmp_path / "model")
    said = " ".join(err.split())
    assert code == 2 and "The loss of the stage contrastive is nan by step" in said
    assert "Lower learning_rate" in said and not (tmp_path / "model" / "training.json").exists()


def test_every_method_trains_in_float32(decoder, encoder, tmp_path):
    """Whatever the dtype of the base on disk; `colbert` took it over, and its loss overflowed."""
    halves = {}
    for name, base in (("decoder", decoder), ("encoder", encoder)):
        halves[name] = tmp_path / name
        shutil.copytree(base, halves[name])
        weights = halves[name] / "model.safetensors"
        tensors = {key: value.half() for key, value in load_file(weights).items()}
        save_file(tensors, weights, {"format": "pt"})
        config = json.loads((halves[name] / "config.json").read_text())
        (halves[name] / "config.json").write_text(json.dumps(config | {"dtype": "float16"}))
    settings = {
        "causal2vec": {"context_encoder": str(encoder)},
        "starbucks": {"pairs": [[1, 8], [2, 16], [4, 32]]},
    }
    for method in untrained.METHODS:
        base = halves["encoder" if method in untrained.ENCODERS else "decoder"]
        model = untrained.build(method, base, settings.get(method, {}))
        assert {weights.dtype for weights in model.parameters()} == {torch.float32}, method


def test_steps_that_weights_cannot_hold_are_refused(cli, home, decoder, pairs_file, tmp_path):
    for rate, dtype, says in (
        ("1e38", "float32", "A step of the stage contrastive is too large"),
        ("1e30", "float16", "The weights of tiny after training are not all numbers in float16"),
    ):
        recipe = RECIPE.replace("steps = 2", "steps = 1").replace("1e-3", rate)
        recipe = recipe.replace('dtype = "float32"', f'dtype = "{dtype}"')
        (tmp_path / "tiny.toml").write_text(recipe.format(base=decoder, pairs=pairs_file))
        code, _, err = cli("train", tmp_path / "tiny.toml", "--out", tmp_path / dtype)
        assert code == 2 and says in " ".join(err.split()), err
        assert not (tmp_path / dtype / "training.json").exists()


def test_a_recipe_that_does_not_fit_its_base(cli, home, decoder, pairs_file, tmp_path):
    """The place of a refused run is free for the next one."""
    rates = 'learning_rates = {{ "word_embeddings" = 1e-3 }}\nprecision'
    names = RECIPE.replace("precision", rates)
    (tmp_path / "names.toml").write_text(names.format(base=decoder, pairs=pairs_file))
    (tmp_path / "mrl.toml").write_text(
        RECIPE.replace('"gem"', '"encoder"')
        .replace("tokens = 2\n", "")
        .format(base=tmp_path, pairs=pairs_file)
    )
    for recipe, says in (
        ("names.toml", "'word_embeddings', which is part of no parameter's name of this base"),
        ("mrl.toml", f"The method encoder cannot be built on {tmp_path}"),
    ):
        code, _, err = cli("train", tmp_path / recipe, "--out", tmp_path / "out")
        said = " ".join(err.split())
        assert code == 2 and says in said and "fault of the program" not in said, err
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([], "pairs.jsonl are empty"),
        (['{"query": "a", "positive": "b"}', "{oops"], "pairs.jsonl cannot be read: "),
        (['{"query": "a", "positive": "b"}', '{"query": "a"}'], "1 of 2 rows of the data have no"),
    ],
)
def test_training_data_that_cannot_be_read(cli, home, decoder, tmp_path, lines, says):
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text("".join(f"{line}\n" for line in lines))
    (tmp_path / "tiny.toml").write_text(RECIPE.format(base=decoder, pairs=pairs))
    code, _, err = cli("train", tmp_path / "tiny.toml", "--out", tmp_path / "out")
    assert code == 2 and says in " ".join(err.split()), err
    assert not (tmp_path / "out").exists()
