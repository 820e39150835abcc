import json
import sys
from pathlib import Path

import pytest
import torch
from transformers.utils import logging

from embedlab.training.new_base import train_tokenizer, write_random

sys.path.insert(0, str(Path(__file__).parent))  # small_pairs.py, for the tests beside it

from small_pairs import QUERIES, TEXTS

logging.disable_progress_bar()
torch.set_num_threads(1)  # on models this small, more threads only wait for each other

SMALL = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "max_position_embeddings": 128,
}


@pytest.fixture(scope="session")
def tokenizer():
    return train_tokenizer(TEXTS + QUERIES, 400)


@pytest.fixture(scope="session")
def decoder(tmp_path_factory, tokenizer):
    """A random Llama of four layers."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("base") / "decoder"
    write_random(
        folder, tokenizer, "llama", **SMALL, num_key_value_heads=2, tie_word_embeddings=True
    )
    return folder


@pytest.fixture(scope="session")
def encoder(tmp_path_factory, tokenizer):
    """A random BERT of four layers."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("base") / "encoder"
    write_random(folder, tokenizer, "bert", **SMALL)
    return folder


@pytest.fixture(scope="session")
def pairs_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "pairs.jsonl"
    rows = ({"query": query, "positive": text} for query, text in zip(QUERIES, TEXTS, strict=True))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
