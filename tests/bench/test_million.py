"""One million vectors of 384 dimensions, written to the vector store
and searched exactly in bounded memory.
"""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.bench

PROGRAM = """
import resource, sys, time
from pathlib import Path
import numpy as np
from embedlab.encoding.vectors.keys import text_keys
from embedlab.encoding.vectors.vector_store import Space
from retrievers.indexes.base_index import make_index
from retrievers.indexes.chunked import search_stream

DOCUMENTS, DIM, QUERIES, K, SHARD = 1_000_000, 384, 1_000, 100, 8_192
rng = np.random.default_rng(0)
root = Path(sys.argv[1])

def vectors(n):
    made = rng.standard_normal((n, DIM), dtype=np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)

began = time.perf_counter()
space = Space({"model": "synthetic"}, root)
names = np.char.add("d", np.arange(DOCUMENTS).astype(str))
order = rng.permutation(DOCUMENTS)  # shards hold the documents by length, not in the corpus's order
for start in range(0, DOCUMENTS, SHARD):
    part = order[start : start + SHARD]
    space.add(text_keys("", names[part].tolist()), np.ones(len(part)), vectors(len(part)), 0.0)
written = time.perf_counter() - began

began = time.perf_counter()
found = Space({"model": "synthetic"}, root).vectors(text_keys("", names.tolist()))
opened = time.perf_counter() - began
queries = found.read(0, QUERIES)
began = time.perf_counter()
hits = search_stream(make_index("faiss:flat"), found.blocks((1 << 26) // (4 * DIM)), queries, K)
searched = time.perf_counter() - began
assert (hits.rows[:, 0] == np.arange(QUERIES)).all()  # every query is a document: it finds itself
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(f"{DOCUMENTS:,} x {DIM}: written {written:.1f} s, opened and checked {opened:.1f} s, "
      f"{QUERIES:,} queries for the best {K} in {searched:.1f} s; "
      f"peak resident memory {peak / 1e9:.2f} GB")
assert peak < 1e9
"""


def test_a_million_documents_in_one_gigabyte(tmp_path, capsys):
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM, tmp_path],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    with capsys.disabled():
        print("\n" + answer.stdout.strip())
    assert answer.returncode == 0, answer.stderr[-2000:]
