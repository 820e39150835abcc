"""`embedlab eval` gives what `mteb.evaluate` gives on a fresh task: model shapes x task types, splits and subsets."""

import math

import pytest

from tests.oracles import task_types

SHAPES = (
    "normalised", "cosine, not normalised", "dot", "euclidean", "manhattan", "prompts", "truncated", "--dims 8",
    "sparse", "multi-vector", "cross",
)  # fmt: skip
RANKING = ("retrieval", "reranking", "instruction retrieval")

# What mteb itself cannot do, or embedlab refuses: a reason each; there must be no score, and an error that says why.
NO_VECTORS = "mteb: scores pairs, and its evaluators need one vector per text"
NONE = {
    **{(shape, kind): NO_VECTORS for shape in ("multi-vector", "cross") for kind in task_types.kinds()},
    **{(shape, kind): "embedlab: reorders candidates only" for shape in ("multi-vector", "cross") for kind in RANKING},
}
del NONE["multi-vector", "reranking"], NONE["cross", "reranking"]


def test_the_table_is_whole(models):
    assert set(models) == set(SHAPES)


@pytest.mark.parametrize("kind", task_types.kinds())
@pytest.mark.parametrize("shape", SHAPES)
def test_scores(shape, kind, models, data_dir, stored, record_property):
    found, refused = stored
    if reason := NONE.get((shape, kind)):
        record_property("oracle", (kind, shape, "-"))
        assert (shape, kind) not in found, reason
        assert "encoder" in refused[shape, kind]
        return
    record_property("oracle", (kind, shape, ""))
    assert (shape, kind) in found, refused.get((shape, kind))
    official = by_mteb(models[shape].load(), task_types.kinds()[kind].task, data_dir)
    ours = found[shape, kind]
    assert set(ours) == set(official)
    compared = 0
    for part, scores in official.items():
        for name, score in scores.items():
            assert ours[part][name] == pytest.approx(score, abs=1e-6, nan_ok=True), (part, name)
            compared += not math.isnan(score)
    record_property("oracle", (kind, shape, str(compared)))


def by_mteb(model, name: str, data_dir) -> dict[tuple[str, str], dict[str, float]]:
    """(split, subset) -> scores of mteb's own evaluation of a task that nobody has used."""
    import mteb

    from embedlab import tasks

    (task,) = tasks.resolve([name], data_dir=data_dir)
    tasks.load(task)
    (result,) = mteb.evaluate(own_pairwise(model), task, cache=None, show_progress_bar=False).task_results
    return {
        (split, scores["hf_subset"]): {
            name.replace("main_score", "main"): value
            for name, value in scores.items()
            if isinstance(value, (int, float))
        }
        for split, subsets in result.scores.items()
        for scores in subsets
    }


def own_pairwise(model):
    """mteb knows no distances for aligned pairs ("Similarity function not specified."): sentence-transformers' own."""
    from mteb.models import SentenceTransformerEncoderWrapper

    class Own(SentenceTransformerEncoderWrapper):
        def similarity_pairwise(self, embeddings1, embeddings2):
            return self.model.similarity_pairwise(embeddings1, embeddings2)

    return Own(model) if getattr(model, "similarity_fn_name", "") in ("euclidean", "manhattan") else model
