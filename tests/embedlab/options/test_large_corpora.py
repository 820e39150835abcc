"""A corpus that is searched block by block gets the ranking of one that an index holds."""

import numpy as np
import pytest

from embedlab.encoding import batches
from embedlab.evaluation import searching
from embedlab.evaluation.protocols import encoded_models, late_interaction
from leaderboard.storage.store import Store
from tests.embedlab.encoding.model_shapes import splade


@pytest.fixture
def both(ok, corner, home, monkeypatch):
    """Evaluate held, and block by block out of many shards; what each costs, and its ranking."""
    monkeypatch.setattr(batches, "SHARD_TEXTS", 4)
    monkeypatch.setattr(encoded_models, "CHUNK_BYTES", 1 << 10)

    def evaluate(*arguments):
        found = []
        for name, limit in (("held", 1 << 30), ("streamed", 0)):
            monkeypatch.setattr(searching, "STREAM_BYTES", limit)
            monkeypatch.setattr(late_interaction, "CHUNK_BYTES", limit)
            database = home / f"{name}.duckdb"
            runs = ok("eval", "--task", corner, *arguments, "--db", database, "--json")["runs"]
            store = Store(database)
            found.append([(run["costs"], store.ranking(run["run_id"])) for run in runs])
        return found

    return evaluate


def check(held, streamed):
    """The rankings are the same; only what is held has the size of an index."""
    for (costs, before), (streamed_costs, after) in zip(held, streamed, strict=True):
        assert costs["index_bytes"] > streamed_costs.get("index_bytes", 0)
        assert "latency_p50_ms" in costs
        assert "latency_p50_ms" not in streamed_costs
        assert before.query_ids == after.query_ids
        ids = [
            [[ranking.document_ids[row] for row in rows] for rows in ranking.rows.tolist()]
            for ranking in (before, after)
        ]
        assert ids[0] == ids[1]
        np.testing.assert_allclose(after.scores, before.scores, atol=1e-6)


def test_dense_models(both, tiny_folder):
    precisions = ("--precision", "float32,float16,int8,binary")
    held, streamed = both("--model", tiny_folder, "--dims", "16", *precisions)
    assert len(held) == 4
    check(held, streamed)


def test_other_metrics_and_chunks(both, tiny_folder):
    check(
        *both(
            "--model",
            tiny_folder,
            "--index",
            "torch",
            "--chunk",
            "tokens:size=6,overlap=1,over=mean",
        )
    )


def test_sparse_models(both, tmp_path):
    splade(tmp_path / "parts").save(str(tmp_path / "splade"))
    check(*both("--model", tmp_path / "splade", "--index", "sparse"))


def test_late_models(both, late):
    check(*both("--model", late, "--dims", "32,16", "--precision", "float32,int8"))


def test_compositions(both, tiny_folder, late):
    fused = f"rrf({tiny_folder}@faiss:sq8, {tiny_folder}@torch, {late})"
    check(*both("--model", fused))
    check(*both("--model", f"{tiny_folder} >> rerank({late}, depth=7)"))
