"""Ten million passages on one machine: encoded by a static model of 384 dimensions and searched
exactly for 1,000 queries, in less than 4 GB of memory, at a cost per document that stays flat.

EMBEDLAB_BENCH_DOCUMENTS says how many, smallest first: 100000,1000000,10000000 by default. Ten
million take 2.8 GB as passages, as much as an Arrow file, and 8 GB as vectors in float16.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

pytestmark = pytest.mark.bench

ASKED = os.environ.get("EMBEDLAB_BENCH_DOCUMENTS", "100000,1000000,10000000")
SIZES = [int(number) for number in ASKED.split(",")]
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


class Run(NamedTuple):
    """One run through the command line: what it found and cost, its seconds on the clock and of
    all cores, its peak resident memory and what it left on disk, in bytes.
    """

    score: float
    costs: dict
    clock: float
    cores: float
    peak: int
    vectors: int
    corpus: int


def evaluated(folder: Path, model: Path, home: Path) -> Run:
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
    return Run(
        run["main_score"],
        run["costs"],
        time.perf_counter() - began,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss * 1024,
        *(size(home / part) for part in ("vectors", "corpora")),
    )


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def score_by_hand(folder: Path, model: Path) -> float:
    """nDCG@10 of sentence-transformers' own vectors, searched with numpy; each query has one
    relevant document.
    """
    from sentence_transformers import SentenceTransformer

    encoder, best = SentenceTransformer(str(model), device="cpu"), []
    documents, queries = (
        [json.loads(line) for line in (folder / name).open()]
        for name in ("corpus.jsonl", "queries.jsonl")
    )
    vectors = encoder.encode([row["text"] for row in documents], normalize_embeddings=True)
    row_of = {row["_id"]: place for place, row in enumerate(documents)}
    for query in queries:
        asked = encoder.encode(query["text"], normalize_embeddings=True)
        scores, relevant = vectors @ asked, row_of["d" + query["_id"][1:]]
        rank = int((scores > scores[relevant]).sum())
        best.append(1 / np.log2(rank + 2) if rank < 10 else 0.0)
    return float(np.mean(best))


def test_the_cost_of_a_document_stays_flat(tmp_path, capfd):
    write_model(tmp_path / "model")
    runs = {}
    for documents in [1_000, *SIZES]:  # the first one is what starting takes
        folder, home = tmp_path / f"passages-{documents}", tmp_path / "home"
        write_passages(folder, documents)
        run = runs[documents] = evaluated(folder, tmp_path / "model", home)
        if documents == SIZES[0]:
            # The store keeps float16.
            assert run.score == pytest.approx(score_by_hand(folder, tmp_path / "model"), abs=2e-3)
        with capfd.disabled():
            print(
                f"\n{documents:,} documents: nDCG@10 {run.score:.4f}; {run.clock:.0f} s, of it"
                f" encoding {run.costs['encoded_now_seconds']:.0f} s, search"
                f" {run.costs['search_seconds']:.0f} s; {run.cores:.0f} s of cores; peak memory"
                f" {run.peak / 1e9:.2f} GB; on disk: vectors {run.vectors / 1e9:.2f} GB, corpus"
                f" {run.corpus / 1e9:.2f} GB"
            )
        assert run.peak < 4e9
        shutil.rmtree(home)
        shutil.rmtree(folder)
    # Seconds of cores: what else runs on the machine hardly changes them.
    start = runs.pop(1_000).cores
    each = {n: (run.cores - start) / n for n, run in runs.items()}
    with capfd.disabled():
        print({f"{n:,}": f"{1e6 * seconds:.0f} s per million" for n, seconds in each.items()})
    assert max(each.values()) < 1.25 * each[SIZES[0]]
