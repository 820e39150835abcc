"""A model's own similarity ranks: in a task, in a composition,
in a saved index, whatever the index.
"""

import json

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer, SparseEncoder

from embedlab.evaluation.request import Request
from embedlab.evaluation.run import evaluate
from embedlab.models import composition
from tests.embedlab.encoding.model_shapes import Pooling, dense, splade, transformer

SIMILARITIES = ["cosine", "dot", "euclidean", "manhattan"]
RNG = np.random.default_rng(3)
DOCUMENTS = {
    f"d{n}": " ".join(f"w{i}" for i in RNG.integers(0, 100, RNG.integers(3, 25))) for n in range(60)
}
QUERIES = {f"q{n}": " ".join(f"w{i}" for i in RNG.integers(0, 100, 5)) for n in range(12)}


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    """A BEIR folder in which every query has three relevant documents."""
    folder = tmp_path_factory.mktemp("similarity") / "words"
    (folder / "qrels").mkdir(parents=True)
    for name, texts in (("corpus", DOCUMENTS), ("queries", QUERIES)):
        lines = (json.dumps({"_id": id, "title": "", "text": text}) for id, text in texts.items())
        (folder / f"{name}.jsonl").write_text("".join(f"{line}\n" for line in lines))
    rows = (f"{q}\td{(n * 7 + k) % 60}\t1\n" for n, q in enumerate(QUERIES) for k in (0, 11, 30))
    (folder / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(rows))
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """`model(name)`: a folder whose configuration names that similarity;
    "sparse cosine" is a sparse one's.
    """
    made = {}

    def get(name: str):
        if name not in made:
            folder = tmp_path_factory.mktemp("similarity")
            kind, _, similarity = name.rpartition(" ")
            if kind:
                built = splade(folder, similarity_fn_name=similarity)
            else:
                built = dense(
                    [transformer(folder), Pooling(32, "mean")], similarity_fn_name=similarity
                )
            (folder / similarity).mkdir()
            built.save(str(folder / similarity))
            made[name] = folder / similarity
        return made[name]

    return get


def expected(folder, *, sparse: bool = False) -> np.ndarray:
    """Similarities `[queries, documents]` by sentence-transformers alone."""
    loaded = (SparseEncoder if sparse else SentenceTransformer)(str(folder), device="cpu")
    queries, documents = (
        loaded.encode_query([*QUERIES.values()]),
        loaded.encode_document([*DOCUMENTS.values()]),
    )
    return loaded.similarity(queries, documents).numpy()


def evaluated(names, task, home, **settings):
    outcome = evaluate(
        Request.of([*map(str, names)], [str(task)], dtype="float32", db=home / "db", **settings)
    )
    assert not outcome.failures, outcome.failures
    return outcome.runs


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_every_index_ranks_by_the_model_s_own(similarity, model, task, home):
    wanted = expected(model(similarity))
    order = np.argsort(-wanted, axis=1)[:, :20]
    runs = evaluated(
        [model(similarity)], task, home, indexes=("faiss:flat", "torch", "faiss:hnsw32"), top_k=20
    )
    assert len(runs) == 3
    for run in runs:
        np.testing.assert_allclose(
            run.ranking.scores,
            np.take_along_axis(wanted, order, axis=1),
            rtol=1e-4,
            atol=1e-4,
            err_msg=run.index,
        )


def test_a_sparse_model_by_cosine(model, task, home):
    wanted = expected(model("sparse cosine"), sparse=True)
    runs = evaluated([model("sparse cosine")], task, home, indexes=("sparse",), top_k=20)
    order = np.argsort(-wanted, axis=1)[:, :20]
    np.testing.assert_allclose(
        runs[0].ranking.scores, np.take_along_axis(wanted, order, axis=1), rtol=1e-4, atol=1e-5
    )


def test_a_sparse_model_by_distance_is_refused(model, task, home, cli):
    code, out, err = cli(
        "eval", "--model", model("sparse euclidean"), "--task", task, "--dtype", "float32"
    )
    assert code != 0 and "ranked by inner product or cosine" in out + err


def test_a_metric_that_would_have_no_effect_is_refused(model, task, home, cli):
    code, out, err = cli(
        "eval", "--model", model("cosine"), "--task", task, "--index", "torch,metric=l2"
    )
    assert (
        code == 2 and "would have no effect: a model is ranked by its own similarity" in out + err
    )


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_compositions_rank_by_it(similarity, model, task, home):
    """The fusion of one model with itself, and the model: the same documents in the same order."""
    names = [str(model(similarity)), f"rrf({model(similarity)}, {model(similarity)}@torch)"]
    assert composition.find(names[1])
    alone, fused = evaluated(names, task, home, top_k=20)
    rows = fused.ranking.rows[:, :20]
    assert (rows == alone.ranking.rows[:, :20]).mean() > 0.99


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_a_saved_index_answers_by_it(similarity, model, task, tmp_path, cli):
    wanted = expected(model(similarity))
    for spec in ("torch", "faiss:flat"):
        out = tmp_path / spec.replace(":", "-")
        code, _, err = cli(
            "index", "--model", model(similarity), "--corpus", task, "--out", out, "--index", spec,
            "--dtype", "float32",
        )  # fmt: skip
        assert code == 0, err
        for n in (0, 7):
            code, answer, err = cli(
                "search", out, [*QUERIES.values()][n], "-k", 5, "--dtype", "float32", "--json"
            )
            assert code == 0, err
            results = json.loads(answer)["results"]
            order = np.argsort(-wanted[n])[:5]
            assert [result["id"] for result in results] == [f"d{row}" for row in order]
            np.testing.assert_allclose(
                [result["score"] for result in results], wanted[n][order], rtol=2e-3, atol=2e-3
            )
