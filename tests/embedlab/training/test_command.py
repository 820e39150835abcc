"""What each option of `embedlab train` changes."""

import json

import pytest
from safetensors.torch import load_file

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
