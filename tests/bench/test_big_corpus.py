"""`embedlab eval --model bm25` on folders of 100,000 and 1,000,000 documents of 60 words: seconds
and the peak memory of the whole process, Java included, which grows by ids and not by texts.

By hand, for other sizes: python -m tests.bench.test_big_corpus FOLDER 10000000
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.bench

WORDS, VOCABULARY, QUERIES, BLOCK = 60, 50_000, 100, 10_000
MOST_PER_DOCUMENT = 500  # bytes: ids in task and index, and Java filling its heap (texts: 1,900)


def write_folder(folder, documents):
    """A BEIR folder of so many documents; a query is the beginning of each of the first."""
    rng = np.random.default_rng(0)
    words = np.array([f"w{n}" for n in range(VOCABULARY)])
    (folder / "qrels").mkdir(parents=True)
    queries = []
    with (folder / "corpus.jsonl").open("w") as corpus:
        for start in range(0, documents, BLOCK):
            drawn = words[rng.zipf(1.3, (BLOCK, WORDS)) % VOCABULARY]
            for row, text in enumerate(map(" ".join, drawn.tolist()), start):
                if row < documents:
                    corpus.write(f'{{"_id": "doc{row}", "title": "", "text": "{text}"}}\n')
                if row < QUERIES:
                    queries.append({"_id": f"q{row}", "text": " ".join(text.split()[:8])})
    (folder / "queries.jsonl").write_text("".join(json.dumps(each) + "\n" for each in queries))
    judged = "".join(f"q{row}\tdoc{row}\t1\n" for row in range(QUERIES))
    (folder / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\n" + judged)
    return folder


def measured(place, documents):
    """Seconds, seconds of CPUs and peak resident bytes of one evaluation."""
    folder = place / f"folder-{documents}"
    if not folder.is_dir():
        write_folder(folder, documents)
    line = [sys.executable, "-m", "embedlab", "eval", "--model", "bm25", "--task", str(folder)]
    environment = {**os.environ, "EMBEDLAB_HOME": str(place / "home")}
    began = time.perf_counter()
    with Path(os.devnull).open("w") as nowhere:
        quiet = [(os.POSIX_SPAWN_DUP2, nowhere.fileno(), 1)]
        process = os.posix_spawn(sys.executable, line, environment, file_actions=quiet)
        _, status, usage = os.wait4(process, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def test_memory_does_not_grow_by_the_texts(tmp_path, capsys):
    sizes = 100_000, 1_000_000
    found = [measured(tmp_path, documents) for documents in sizes]
    with capsys.disabled():
        report(sizes, found)
    (*_, small), (*_, large) = found
    assert (large - small) / (sizes[1] - sizes[0]) < MOST_PER_DOCUMENT


def report(sizes, found):
    for documents, (seconds, busy, peak) in zip(sizes, found, strict=True):
        print(
            f"{documents:,} documents: {seconds:.0f} s, {busy:.0f} s of CPUs,"
            f" {1e6 * busy / documents:.0f} us each; peak resident memory {peak / 1e9:.2f} GB"
        )


if __name__ == "__main__":
    place, *sizes = sys.argv[1:]
    numbers = [int(size) for size in sizes]
    report(numbers, [measured(Path(place), documents) for documents in numbers])
