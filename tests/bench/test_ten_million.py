"""Ten million passages on one machine: encoded by a static model of 384 dimensions and searched
exactly, in less than 4 GB of memory.

EMBEDLAB_BENCH_DOCUMENTS is a number, or several: 100000,1000000,10000000. Ten million take 3 GB for
the passages, and 8 GB for their vectors in float16.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.bench

SIZES = [int(n) for n in os.environ.get("EMBEDLAB_BENCH_DOCUMENTS", "100000,10000000").split(",")]
ROOT = Path(__file__).parents[2]
QUERIES, DIM, WORDS, BLOCK = 1_000, 384, 20_000, 50_000


def vocabulary() -> np.ndarray:
    """Words of 2 to 8 letters, each different."""
    rng = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = {"".join(rng.choice(letters, rng.integers(2, 9))) for _ in range(3 * WORDS)}
    return np.array(sorted(words)[:WORDS], dtype=object)


def write_passages(folder: Path, documents: int) -> int:
    """A BEIR folder: passages of 12 to 60 words that differ by their number, and queries that are
    the first 10 words of some; returns its bytes.
    """
    rng, words = np.random.default_rng(1), vocabulary()
    (folder / "qrels").mkdir(parents=True)
    asked = set(np.linspace(0, documents - 1, QUERIES).astype(int).tolist())
    queries, judged = [], ["query-id\tcorpus-id\tscore"]
    with (folder / "corpus.jsonl").open("w") as corpus:
        for start in range(0, documents, BLOCK):
            lengths = rng.integers(12, 61, min(BLOCK, documents - start))
            # Few words are frequent, as in a language.
            drawn = words[(WORDS * rng.random(lengths.sum()) ** 3).astype(int)].tolist()
            lines, at = [], 0
            for number, length in enumerate(lengths.tolist(), start=start):
                text = " ".join(drawn[at : at + length])
                at += length
                lines.append(f'{{"_id": "d{number}", "title": "", "text": "{text} n{number}"}}\n')
                if number in asked:
                    query = " ".join(text.split()[:10])
                    queries.append(json.dumps({"_id": f"q{number}", "text": query}))
                    judged.append(f"q{number}\td{number}\t1")
            corpus.write("".join(lines))
    (folder / "queries.jsonl").write_text("\n".join(queries) + "\n")
    (folder / "qrels" / "test.tsv").write_text("\n".join(judged) + "\n")
    return sum(path.stat().st_size for path in folder.rglob("*.*"))


def write_model(folder: Path) -> None:
    """Static embeddings of the vocabulary, random ones."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {word: n for n, word in enumerate(["[UNK]", *vocabulary()])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    weights = torch.randn(len(words), DIM, generator=torch.Generator().manual_seed(0))
    model = SentenceTransformer(modules=[StaticEmbedding(tokenizer, weights)], device="cpu")
    model.save(str(folder))


def evaluated(folder: Path, model: Path, home: Path) -> tuple[dict, float, float]:
    """One run through the command line, its seconds, and its peak resident memory in bytes."""
    program = [sys.executable, "-m", "embedlab", "eval", "--model", model, "--task", folder]
    began = time.perf_counter()
    process = subprocess.Popen(
        [*program, "--store-dtype", "float16", "--json"],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "EMBEDLAB_HOME": str(home)},
        text=True,
    )
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0
    run = json.loads(out)["runs"][0]
    return run, time.perf_counter() - began, usage.ru_maxrss * 1024
