"""A ranking that leaves the store scores elsewhere what it scored here."""

import numpy as np
import pytest

from leaderboard.errors import LeaderboardError
from leaderboard.exchange.exporting import export
from leaderboard.exchange.ir_files import read_trec_run
from leaderboard.exchange.qrels import read_qrels
from leaderboard.records import Model, Ranking, Texts
from leaderboard.storage.store import Store


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "results.duckdb")


def test_the_order_of_equal_scores_stays(store, make_run, tmp_path):
    """Lucene ranks equal scores by ascending id; readers of run files would turn them round."""
    ids = ["d1", "d2", "d10", "é"]
    rows = np.array([[0, 1, 2, 3], [3, 1, 2, -1]], np.int32)
    scores = np.array([[2.5, 2.5, 2.5, 1.25], [0.1, 0.1, 0.1, -np.inf]], np.float32)
    qrels = {"q0": {"d1": 1, "absent": 2}, "q1": {"d2": 1, "d10": 0}}
    run = make_run(
        1,
        ranking=Ranking(["q0", "q1"], ids, rows, scores),
        texts=Texts({"q0": "?", "q1": "?"}, qrels, {}),
        id="abc",
    )
    store.add(run)
    store.add(make_run(2, model=Model("no ranking"), ranking=None, texts=None))
    paths = [
        path.relative_to(tmp_path / "out").as_posix()
        for path in export(store, tmp_path / "out", "trec")
    ]
    assert paths == [
        "runs/SciFact.test.default.r1/org_model.abc.txt",
        "qrels/SciFact.test.default.r1.txt",
    ]
    run_file, qrels_file = (tmp_path / "out" / path for path in paths)
    assert read_qrels(qrels_file) == qrels
    back = read_trec_run(run_file)
    for query, (kept, row) in enumerate(zip(back.rows, rows, strict=True)):
        hits = [
            (score, back.document_ids[at].encode())
            for at, score in zip(kept, back.scores[query], strict=True)
        ]
        read = [id.decode() for score, id in sorted(hits, reverse=True) if score > -np.inf]
        assert read == [ids[at] for at in row if at >= 0]
    np.testing.assert_allclose(back.scores, scores, rtol=1e-6)
    columns = run_file.read_text(encoding="utf-8").splitlines()[0].split()
    assert columns == ["q0", "Q0", "d1", "1", "2.5", "org_model"]


def test_other_tools_score_it_alike(store, make_run, tmp_path):
    pytrec_eval = pytest.importorskip("pytrec_eval")
    rng = np.random.default_rng(0)
    ids = [f"d{n}" for n in range(50)]
    rows = np.stack([rng.permutation(50)[:30] for _ in range(20)]).astype(np.int32)
    scores = -np.sort(-rng.integers(0, 8, rows.shape)).astype(np.float32)  # many ties
    queries = [f"q{n}" for n in range(20)]
    qrels = {
        query: {ids[d]: int(rng.integers(0, 3)) for d in rng.permutation(50)[:6]}
        for query in queries
    }
    store.add(make_run(1, ranking=Ranking(queries, ids, rows, scores), texts=Texts({}, qrels, {})))
    run_file, qrels_file = export(store, tmp_path / "out", "trec")
    with qrels_file.open() as judged, run_file.open() as run:
        evaluator = pytrec_eval.RelevanceEvaluator(
            pytrec_eval.parse_qrel(judged), {"ndcg_cut_10", "recip_rank"}
        )
        found = evaluator.evaluate(pytrec_eval.parse_run(run))
    for query, ranked in zip(queries, rows, strict=True):
        gains = np.array([qrels[query].get(ids[row], 0) for row in ranked])
        ideal = np.sort([gain for gain in qrels[query].values() if gain > 0])[::-1][:10]
        discount = 1 / np.log2(np.arange(2, 12))
        expected = (gains[:10] * discount).sum() / max(
            (ideal * discount[: len(ideal)]).sum(), 1e-12
        )
        assert found[query]["ndcg_cut_10"] == pytest.approx(expected, abs=1e-9)


def test_what_cannot_be_a_trec_file_is_said(store, make_run, tmp_path):
    store.add(make_run(1, ranking=None, texts=None))
    with pytest.raises(LeaderboardError, match="has a ranking"):
        export(store, tmp_path / "out", "trec")
    ranking = Ranking(["a query"], ["d"], np.zeros((1, 1), np.int32), np.ones((1, 1), np.float32))
    store.add(make_run(2, ranking=ranking, texts=None))
    with pytest.raises(LeaderboardError, match="'a query' cannot stand in a TREC file"):
        export(store, tmp_path / "out", "trec")
