"""The model at some steps of a training: the one that a shorter training gives, and the training
itself is as without.
"""

import pytest
import torch
from sentence_transformers import SentenceTransformer, SparseEncoder
from test_run import killed_after

from embedlab.training import snapshots
from embedlab.training.recipe import read
from embedlab.training.training_run import train
from embedlab.training.workplace import RECORD

# A constant learning rate: four steps begin as two do.
STAGE = """
[[stages]]
objective = "{}"
steps = {}
batch_size = 4
learning_rate = 1e-2
warmup = 0.0
schedule = "constant"
precision = "float32"
save_steps = 1
settings = {}
{}
"""
LORA = "lora = { rank = 2, alpha = 8, dropout = 0.1 }"
SETTINGS = {"mean": "", "nv-embed": "latents = 3\nheads = 2\nhead_size = 8", "gem": "tokens = 2"}
METHODS = {"mean": "decoder", "whole": "decoder", "splade": "echo-splade"}
KINDS = ("mean", "whole", "nv-embed", "gem", "splade")
TEXTS = ["read a file into a list", "the sum of two numbers"]


@pytest.fixture
def recipe(tmp_path, decoder, pairs_file):
    def write(kind, steps):
        lora = "" if kind == "whole" else LORA
        text = f'method = "{METHODS.get(kind, kind)}"\nbase = "{decoder}"\ndtype = "float32"\n'
        text += f"[settings]\nmax_length = 24\n{SETTINGS.get(kind, '')}\n"
        text += f'[data]\npath = "{pairs_file}"\n'
        if kind == "gem":
            text += STAGE.format("gem", 2, "{ ntp_steps = 1 }", lora)
        flops = "{ query_weight = 5e-3, document_weight = 3e-3 }"
        last = ("splade", flops) if kind == "splade" else ("contrastive", "{ scale = 20.0 }")
        file = tmp_path / "steps.toml"
        file.write_text(text + STAGE.format(last[0], steps, last[1], lora))
        return read(file)

    return write


def vectors(folder):
    kind = SparseEncoder if "LexicalHead" in (folder / "modules.json").read_text() else None
    found = (kind or SentenceTransformer)(str(folder), device="cpu").encode(
        TEXTS, convert_to_tensor=True
    )
    return found.to_dense() if found.is_sparse else found


def weights(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.safetensors")}


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_is_a_shorter_training_and_the_training_is_as_without(kind, recipe, tmp_path):
    plain, short, kept = (tmp_path / name for name in ("plain", "short", "kept"))
    train(recipe(kind, 4), plain, device="cpu")
    train(recipe(kind, 2), short, device="cpu")
    train(recipe(kind, 4), kept, device="cpu", every=2)
    assert weights(kept) == weights(plain)
    assert sorted(path.name for path in kept.iterdir()) == sorted(
        path.name for path in plain.iterdir()
    )
    found = snapshots.folders(kept)
    assert list(found) == [2] and found[2].name == "kept-step2"
    assert torch.equal(vectors(found[2]), vectors(short))
    assert not torch.equal(vectors(found[2]), vectors(kept))


def test_a_killed_training_has_the_same_steps(recipe, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train(recipe("mean", 4), whole, device="cpu", every=1)
    with pytest.raises(KeyboardInterrupt):
        train(recipe("mean", 4), killed, device="cpu", every=1, progress=killed_after((1, 3)))
    assert not (killed / RECORD).exists()
    train(recipe("mean", 4), killed, device="cpu", every=1)
    of_whole, of_killed = snapshots.folders(whole), snapshots.folders(killed)
    assert list(of_whole) == list(of_killed) == [1, 2, 3]
    for step, folder in of_whole.items():
        assert torch.equal(vectors(folder), vectors(of_killed[step]))
    assert weights(whole) == weights(killed)
