"""A study so small that it runs in seconds: random models of 32 dimensions, two collections."""

import json

import numpy as np
import pytest

from tests.beir_folder import write_beir

WORDS = [f"w{n}" for n in range(200)]
RECIPE = """
method = "decoder"
base = "{base}"
dtype = "float32"
[settings]
max_length = 32
[data]
path = "{pairs}"
[[stages]]
objective = "contrastive"
steps = 4
batch_size = 4
learning_rate = 1e-3
precision = "float32"
save_steps = 2
"""
STUDY = """
title = "Mean or last"
question = "Does the mean over all tokens beat the last one?"
tasks = ["{first}", "{second}"]
seeds = [1, 2]
settings = {{ max_length = 16 }}

[options]
device = "cpu"

[[trainings]]
name = "mean"
recipe = "{recipe}"

[[trainings]]
name = "last"
recipe = "{recipe}"
role = "control"
set = {{ "settings.pooled" = "end" }}

[[models]]
model = "bm25"

[[views]]
of = ["mean"]
dims = [8, 16]

[[comparisons]]
name = "Trained or not"
first = ["trained", "controls"]
second = ["twin"]

[[comparisons]]
name = "Mean or others"
first = ["mean"]
second = ["controls", "baselines"]
level = 0.9
"""


def collection(folder, seed):
    """A BEIR folder of 20 documents and 8 queries."""
    return write_beir(folder, WORDS, 20, 5, seed)


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory):
    """A random Llama of two layers and 32 dimensions."""
    import torch

    from embedlab.training.new_base import train_tokenizer, write_random

    folder = tmp_path_factory.mktemp("base") / "decoder"
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    torch.manual_seed(0)
    write_random(
        folder,
        train_tokenizer([" ".join(WORDS)] * 2, 400),
        "llama",
        **sizes,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=64,
    )
    return folder


@pytest.fixture
def study(tmp_path, tiny_base):
    """The file of the study; its recipe is tiny.toml beside it."""
    rng = np.random.default_rng(9)
    rows = [" ".join(rng.choice(WORDS, 8)) for _ in range(16)]
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text(
        "".join(json.dumps({"query": row[:12], "positive": row}) + "\n" for row in rows)
    )
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(RECIPE.format(base=tiny_base, pairs=pairs))
    file = tmp_path / "study.toml"
    folders = [collection(tmp_path / name, n) for n, name in enumerate(("one", "two"))]
    file.write_text(STUDY.format(first=folders[0], second=folders[1], recipe=recipe))
    return file
