"""The served index is the measured one: ids and scores of `serve`, `search` and `eval` are one."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import embedlab
from leaderboard.storage.store import Store
from tests.embedlab.serve.conftest import lines, serving
from tests.tiny_models import write_cross_encoder

pytest.importorskip("pyserini", reason="needs the extra lucene")
CLOSE = 1e-6  # what the texts beside a text in its batch may change


@pytest.fixture(scope="module")
def ranker(tmp_path_factory, word_tokenizer):
    folder = tmp_path_factory.mktemp("models") / "ranker"
    write_cross_encoder(folder, word_tokenizer, initializer_range=0.5)
    return folder


def asked(server, query, k):
    answer = server.client.post("/search", json={"query": query, "k": k})
    assert answer.status_code == 200, answer.text
    return answer.json()["results"]


@pytest.mark.parametrize(
    "model",
    ["{tiny}", "mistral-splade", "bm25", "rrf(bm25, {tiny}) >> rerank({ranker}, depth=20)"],
    ids=["dense", "sparse", "bm25", "composition"],
)
def test_serve_ranks_as_search_and_eval_do(
    model, cli, home, build, corner, tiny_folder, ranker, monkeypatch
):
    model = model.format(tiny=tiny_folder, ranker=ranker)
    path, k = build(model), 10
    queries = {row["_id"]: row["text"] for row in lines(corner / "queries.jsonl")}

    def searched(query):
        code, out, err = cli("search", path, query, "-k", k, "--json")
        assert code == 0, err
        return json.loads(out)["results"]

    found = {name: searched(queries[name]) for name in ("q0", "q3", "q11")}
    with serving(path, batch=1) as server:
        for name, results in found.items():
            for theirs, ours in zip(results, asked(server, queries[name], k), strict=True):
                assert {key: ours[key] for key in ("rank", "id", "score", "text")} == {
                    key: theirs[key] for key in ("rank", "id", "score", "text")
                }, "one text in a pass: the same to the last bit"
                assert ours["metadata"]["year"] == 2000 + int(ours["id"][1:])

    with serving(path) as server, ThreadPoolExecutor(12) as clients:
        sizes = watched_passes(server, monkeypatch)
        together = dict(
            zip(queries, clients.map(lambda query: asked(server, query, k), queries.values()),
                strict=True)
        )  # fmt: skip
    assert sum(sizes) == 12 and max(sizes) > 1, "no pass was shared"
    for name, results in found.items():
        assert_alike(together[name], results)

    index = [] if ">>" in model or model == "bm25" else ["--index", "sparse"]
    index = ["--index", "torch"] if model == str(tiny_folder) else index
    code, out, err = cli(
        "eval", "--model", model, "--task", corner, "--top-k", k, "--json",
        *(["--dtype", "float32"] if model != "bm25" else []), *index,
    )  # fmt: skip
    assert code == 0, err
    (run,) = json.loads(out)["runs"]
    ranking = Store(home / "results.duckdb").ranking(run["run_id"])
    for place, name in enumerate(ranking.query_ids):
        pairs = zip(ranking.rows[place], ranking.scores[place], strict=True)
        measured = [
            {"id": ranking.document_ids[row], "score": float(score)}
            for row, score in pairs
            if row >= 0
        ]
        assert_alike(together[name], measured)


def assert_alike(ours, theirs):
    """The same scores, and the same documents but for those whose scores are equal."""
    scores = [[row["score"] for row in rows] for rows in (ours, theirs)]
    np.testing.assert_allclose(*scores, rtol=CLOSE, atol=CLOSE)
    last = scores[0][-1] + 2 * CLOSE * max(1, abs(scores[0][-1]))  # ties at the cut may be others
    ids = [
        {row["id"]: row["score"] for row in rows if row["score"] > last} for rows in (ours, theirs)
    ]
    assert ids[0].keys() == ids[1].keys()
    for name, score in ids[0].items():
        assert score == pytest.approx(ids[1][name], rel=CLOSE, abs=CLOSE)


def watched_passes(server, monkeypatch):
    """The number of texts in each pass from now on; the first waits for company."""
    from time import sleep

    sizes, compute = [], server.index._passes._compute

    def counted(kind, texts):
        sizes.append(len(texts))
        sleep(0.1)
        return compute(kind, texts)

    monkeypatch.setattr(server.index._passes, "_compute", counted)
    return sizes


def test_queries_of_other_depths_do_not_share_a_pass(build, tiny_folder, monkeypatch):
    """A fusion goes as deep as `k`: a neighbour's must not be taken for one's own."""
    path = build(f"rrf(bm25, {tiny_folder})")
    with serving(path) as server, ThreadPoolExecutor(8) as clients:
        server.index.retriever.depth = 5
        alone = asked(server, "w1 w2 w3", 3)
        watched_passes(server, monkeypatch)
        ks = [3, 60] * 4
        answers = list(clients.map(lambda k: asked(server, "w1 w2 w3", k), ks))
    assert [len(answer) for answer in answers] == ks
    for k, answer in zip(ks, answers, strict=True):
        if k == 3:
            assert_alike(answer, alone)


@pytest.mark.parametrize("chunks", ["", "tokens:size=2", "tokens:size=2,over=mean"])
def test_equal_scores_come_by_id(chunks, tmp_path, home, cli):
    """In whatever order the documents were indexed, those at the cut included."""
    same = dict.fromkeys(("b", "d", "a", "c"), "w1 w2")
    embedlab.Index.build(same, "bm25", chunks=chunks).save(tmp_path / "index")
    code, out, err = cli("search", tmp_path / "index", "w1", "-k", 2, "--json")
    assert code == 0, err
    with serving(tmp_path / "index") as server:
        for results in (asked(server, "w1", 2), json.loads(out)["results"]):
            assert [result["id"] for result in results] == ["d", "c"]
            assert [result["text"] for result in results] == ["w1 w2"] * 2


def test_the_score_through_our_own_server_is_the_models_own(cli, home, corner, tiny_folder, dense):
    """`eval` of the model, and of what `/v1/embeddings` says of it."""
    with serving(dense) as server:
        name = server.client.get("/v1/models").json()["data"][0]["id"]
        models = [tiny_folder, f"{server.url}/v1#{name}"]
        code, out, err = cli(
            "eval", *(word for model in models for word in ("--model", model)),
            "--task", corner, "--top-k", 10, "--json",
        )  # fmt: skip
    assert code == 0, err
    own, served = json.loads(out)["runs"]
    assert own["main_score"] == served["main_score"] > 0
    rankings = [Store(home / "results.duckdb").ranking(run["run_id"]) for run in (own, served)]
    np.testing.assert_allclose(rankings[0].scores, rankings[1].scores, atol=CLOSE)


def test_an_index_in_chunks_answers_with_the_best_of_each(build, cli, home, corner, tiny_folder):
    path = build(tiny_folder, chunk="tokens:size=6,overlap=1")
    query = lines(corner / "queries.jsonl")[3]["text"]
    code, out, err = cli("search", path, query, "--json")
    assert code == 0, err
    keys = ("rank", "id", "score", "text", "start", "end")
    with serving(path, batch=1) as server:
        ours = [[each[key] for key in keys] for each in asked(server, query, 10)]
        assert server.index.encoders
    assert ours == [[each[key] for key in keys] for each in json.loads(out)["results"]]
