"""`embedlab eval` on folders as the world has them:
scores follow from the content, by trec_eval's and mteb's rules.
"""

import json
import re

import numpy as np
import pytest

from tests.tiny_models import write_cross_encoder

WORDS = [f"w{n}" for n in range(12)]  # few, and some documents are equal: many ties


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def folder(tmp_path):
    """Writes a BEIR folder of 90 documents and 9 queries,
    its corpus in an order given by a seed.
    """

    def made(name="zoo", order=0, *, candidates=None, self_ids=False):
        rng = np.random.default_rng(7)
        texts = [" ".join(rng.choice(WORDS, 3)) for _ in range(90)]
        judged = [rng.choice(90, 4, replace=False) for _ in range(9)]
        corpus = [{"_id": f"d{n}", "title": "", "text": text} for n, text in enumerate(texts)]
        query = (lambda n: f"d{n}") if self_ids else (lambda n: f"q{n}")
        where = tmp_path / name
        write(
            where / "corpus.jsonl",
            [corpus[n] for n in np.random.default_rng(order).permutation(90)],
        )
        write(where / "queries.jsonl", [{"_id": query(n), "text": texts[n]} for n in range(9)])
        qrels = "".join(
            f"{query(n)}\td{d}\t{1 + d % 3}\n" for n in range(9) for d in judged[n] if d != n
        )
        (where / "qrels").mkdir(exist_ok=True)
        (where / "qrels/test.tsv").write_text(qrels)
        if candidates:
            rows = [
                {"query-id": query(n), "corpus-ids": candidates([f"d{d}" for d in judged[n]])}
                for n in range(9)
            ]
            write(where / "top_ranked.jsonl", rows)
        return where

    return made


@pytest.fixture(scope="module")
def crosses(tmp_path_factory, word_tokenizer):
    """Random cross-encoders by their number of labels."""
    folders = {}
    for labels in (1, 3):
        folders[labels] = tmp_path_factory.mktemp("models") / f"cross{labels}"
        write_cross_encoder(folders[labels], word_tokenizer, labels, initializer_range=0.5)
    return folders


def runs(cli, *arguments):
    code, out, err = cli("eval", "--json", *arguments)
    assert code == 0, err
    return json.loads(out)["runs"], err


def test_scores_do_not_depend_on_the_order_of_the_corpus_nor_on_the_folders_name(
    cli, home, folder, tiny_folder, crosses
):
    pytest.importorskip("pyserini", reason="needs the extra lucene")
    models = [
        "bm25",
        f"rrf(bm25, {tiny_folder})",
        f"bm25 >> rerank({crosses[1]}, depth=5)",
        tiny_folder,
    ]
    asked = [part for model in models for part in ("--model", model)]
    found = []
    for name, order in (("zoo", 0), ("zoo", 1), ("arguana", 2)):
        runs_here, _ = runs(
            cli, *asked, "--task", folder(name, order), "--index", "faiss:flat,faiss:hnsw4",
            "--top-k", 20,
        )  # fmt: skip
        found.append({(run["model"], run["index"]): run["scores"] for run in runs_here})
        names = {run["task"] for run in runs_here}
        assert len(names) == 1 and names.pop().startswith(f"{name}@")
    assert len(found[0]) == 6
    assert found[0] == found[1] == found[2]


def test_a_cut_takes_nothing_from_the_metrics_above_it(cli, home, folder, tiny_folder):
    """Ties at the cut are cut as they rank."""
    models = (
        "--model", "bm25", "--model", tiny_folder, "--task", folder(),
        "--precision", "float32,binary",
    )  # fmt: skip
    whole, cut = runs(cli, *models)[0], runs(cli, *models, "--top-k", 10)[0]
    assert [run["main_score"] for run in whole] == [run["main_score"] for run in cut]


@pytest.mark.parametrize("kind", ["cross", "dense", "bm25"])
def test_a_candidate_named_twice_counts_once(cli, home, folder, tiny_folder, crosses, kind):
    model = {"cross": crosses[1], "dense": tiny_folder, "bm25": "bm25"}[kind]
    others = ["d80", "d81", "d82"]
    (once,), _ = runs(
        cli, "--model", model, "--task", folder("once", candidates=lambda judged: judged + others)
    )
    twice, _ = runs(
        cli,
        "--model",
        model,
        "--task",
        folder("twice", candidates=lambda judged: judged + others + judged + others),
    )
    assert once["scores"] == twice[0]["scores"]
    # BM25 finds only what shares a word.
    assert once["scores"]["recall_at_10"] == 1 or kind == "bm25"


def test_a_cross_encoder_cuts_after_it_ranked(home, folder, crosses):
    from embedlab import models, tasks
    from embedlab.evaluation.protocols.choice import protocol_for
    from embedlab.evaluation.protocols.protocol import Prepared
    from embedlab.evaluation.request import Request
    from embedlab.evaluation.retrieval_data import retrieval_data
    from embedlab.progress import Reporter

    (task,) = tasks.resolve(
        [str(folder(candidates=lambda judged: ["d80", "d81", "d82", "d83", *judged]))]
    )
    data = retrieval_data(tasks.load(task), "test", "default")
    model = models.load(str(crosses[1]), device="cpu", dtype="float32")
    protocol = protocol_for(Request([], []), model, Reporter())
    (view,) = protocol.views()
    whole, cut = (protocol.search(task, data, Prepared(), view, k=k) for k in (8, 3))
    np.testing.assert_array_equal(whole[0][:, :3], cut[0])
    assert (np.diff(whole[1], axis=1) <= 0).all() and len(np.unique(whole[0][:, 0])) > 4


def test_a_cross_encoder_of_three_labels_is_refused(cli, home, folder, crosses):
    task = folder(candidates=lambda judged: ["d80", *judged])
    for model in (crosses[3], f"bm25 >> rerank({crosses[3]}, depth=5)"):
        code, _, err = cli("eval", "--model", model, "--task", task)
        assert code == 2
        assert "one finite score per document: a cross-encoder with one label" in " ".join(
            err.split()
        )
        assert "Traceback" not in err


@pytest.mark.effect("eval --ignore-identical-ids")
def test_queries_that_are_documents(cli, home, folder, tiny_folder):
    """Without the option the query itself stands first, and the run says so;
    with it scores are beir's and mteb's.
    """
    import mteb

    from embedlab import tasks

    task = folder(self_ids=True)
    (plain,), told = runs(cli, "--model", tiny_folder, "--task", task)
    assert (
        "queries find the document of their own id first" in told
        and "--ignore-identical-ids" in told
    )
    (dropped,), told = runs(cli, "--model", tiny_folder, "--task", task, "--ignore-identical-ids")
    assert "of their own id first" not in told
    assert dropped["main_score"] > plain["main_score"]
    assert dropped["task"] != plain["task"]

    from sentence_transformers import SentenceTransformer

    (again,) = tasks.resolve([str(task)], ignore_identical_ids=True)
    encoder = SentenceTransformer(str(tiny_folder), device="cpu")
    theirs = mteb.evaluate(encoder, tasks.load(again), cache=None, show_progress_bar=False)[
        0
    ].scores["test"][0]
    assert dropped["main_score"] == pytest.approx(theirs["ndcg_at_10"], abs=6e-6)


def test_judgements_of_documents_that_are_not_there_count_as_not_found(
    cli, home, folder, tiny_folder
):
    """As five of ArguAna's are."""
    import mteb
    from sentence_transformers import SentenceTransformer

    from embedlab import tasks
    from leaderboard.storage.store import Store

    task = folder()
    (whole,), told = runs(cli, "--model", tiny_folder, "--task", task)
    assert "not in the corpus" not in told
    with (task / "qrels/test.tsv").open("a") as qrels:
        qrels.write("".join(f"q{n}\tgone{n}\t2\n" for n in range(5)))
    (run,), told = runs(cli, "--model", tiny_folder, "--task", task)
    assert "5 judged documents are not in the corpus" in told
    assert Store(home / "results.duckdb").run(run["run_id"]).resolved["missing"] == {
        "judged documents": 5
    }
    assert run["main_score"] < whole["main_score"]
    (again,) = tasks.resolve([str(task)])
    encoder = SentenceTransformer(str(tiny_folder), device="cpu")
    theirs = mteb.evaluate(encoder, tasks.load(again), cache=None, show_progress_bar=False)[
        0
    ].scores["test"][0]
    for name in ("ndcg_at_10", "recall_at_100", "map_at_1000"):
        assert run["scores"][name] == pytest.approx(theirs[name], abs=6e-6)


def test_a_mirror_with_other_data_is_no_mteb_task(cli, home, tmp_path, tiny_folder):
    """Its score does not reach what is ranked, exported or found under MTEB's name."""
    words = np.random.default_rng(0).choice(WORDS, (40, 2, 3))
    table = "".join(f"{n % 6}\t{' '.join(a)}\t{' '.join(b)}\n" for n, (a, b) in enumerate(words))
    (tmp_path / "STS12.tsv").write_text("score\tsentence1\tsentence2\n" + table)
    (run,), told = runs(cli, "--model", tiny_folder, "--task", "STS12", "--data-dir", tmp_path)
    assert re.fullmatch("STS12@[0-9a-f]{8}", run["task"])
    assert f"does not hold MTEB's data of STS12: its scores are recorded as {run['task']}" in told
    code, _, err = cli("leaderboard", "--task", "STS12")
    assert code == 2 and run["task"] in err
    assert cli("leaderboard", "--task", run["task"])[0] == 0
    assert cli("export", tmp_path / "out", "--format", "mteb")[0] == 0
    (file,) = (
        path for path in (tmp_path / "out").rglob("*.json") if path.name != "model_meta.json"
    )
    assert json.loads(file.read_text())["task_name"] == run["task"]
    assert len(json.loads(file.read_text())["dataset_revision"]) == 64
