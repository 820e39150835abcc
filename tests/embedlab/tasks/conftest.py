import json
from pathlib import Path

import pytest

SHARED = Path(__file__).parents[4] / "shared" / "data"


@pytest.fixture(scope="session")
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip("the shared data sets are not on this machine")
    return SHARED


@pytest.fixture(scope="session")
def model():
    """A real SentenceTransformer: random word vectors, averaged."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    torch.manual_seed(0)
    numbers, colours = ["one", "two", "three"], ["red", "blue", "green"]
    words = ["[UNK]", "a", "cat", "dog", "bird", "car", "train", "plane", *numbers, *colours]
    tokenizer = Tokenizer(
        models.WordLevel({word: row for row, word in enumerate(words)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=16)], device="cpu")


@pytest.fixture
def beir(tmp_path):
    """Writes a BEIR folder; keyword arguments replace single files."""

    def write(name="zoo", **files) -> Path:
        folder = tmp_path / name
        corpus = [
            {"_id": "d1", "title": "Cats", "text": "a cat"},
            {"_id": "d2", "text": "a dog"},
            {"_id": "d3", "title": "", "text": ""},
        ]
        contents = {
            "corpus.jsonl": lines(corpus),
            "queries.jsonl": lines(
                {"_id": f"q{n}", "text": f"{word} ?"}
                for n, word in enumerate(["cat", "dog", "car"])
            ),
            "qrels/test.tsv": "query-id\tcorpus-id\tscore\nq0\td1\t3\nq0\td2\t0\nq1\td2\t1\n",
        } | {
            key.replace("__", "/").replace("_jsonl", ".jsonl").replace("_tsv", ".tsv"): v
            for key, v in files.items()
        }
        for path, content in contents.items():
            if content is not None:
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_text(content, encoding="utf-8")
        return folder

    return write


def lines(rows) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)
