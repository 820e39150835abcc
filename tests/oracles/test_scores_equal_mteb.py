"""`embedlab eval` gives what `mteb.evaluate` gives on a fresh task:
model shapes x task types, splits and subsets.
"""

import math

import pytest

from tests.oracles import task_types

SHAPES = (
    "normalised", "cosine, not normalised", "dot", "euclidean", "manhattan", "prompts", "truncated",
    "--dims 8", "sparse", "multi-vector", "cross",
)  # fmt: skip
# The vectors of "cosine, not normalised", compared otherwise; no vectors are compared where a
# classifier, a regression or a clustering of mteb's own reads them.
COMPARED = ("dot", "euclidean", "manhattan")
READ = (
    "classification", "multilabel classification", "clustering", "clustering, legacy", "regression",
)  # fmt: skip
CELLS = [
    (shape, kind)
    for shape in SHAPES
    for kind in task_types.kinds()
    if not (shape in COMPARED and kind in READ)
]
RERANKING = ("reranking", "instruction reranking")
RANKING = ("retrieval", "instruction retrieval", "instruction levels", *RERANKING)

# Where there must be no score but a reason, in these words. mteb evaluates no pair scorer where a
# vector per text is needed ("does not support CrossEncoders", "... Search"), nor a cross-encoder
# without candidates.
NONE = {
    ("cross", kind): "reorders candidates" if kind in RANKING else "needs a vector per text"
    for kind in task_types.kinds()
    if kind not in RERANKING
} | {
    ("multi-vector", kind): "needs a vector per text"
    for kind in task_types.kinds()
    if kind not in RANKING
}
# mteb's own scores move by up to 1e-6 with its batch size, since the last bits of vectors do; least
# squares of a regression make more of them, and most of all where there are more terms than texts.
TOLERANCE = {"abs": 2e-6}
ILL_CONDITIONED = {"regression": {"rel": 1e-5}, ("sparse", "regression"): {"abs": 0.02}}


def test_the_table_is_whole(models):
    assert set(models) == set(SHAPES)


@pytest.mark.parametrize(("shape", "kind"), CELLS)
def test_scores(shape, kind, models, data_dir, stored, record_property):
    found, refused = stored
    if reason := NONE.get((shape, kind)):
        record_property("oracle", (kind, shape, "-"))
        assert (shape, kind) not in found, reason
        assert reason in refused[shape, kind]
        if kind not in RANKING:
            with pytest.raises(TypeError, match=r"does not support|Expected"):
                by_mteb(models[shape].load(), task_types.kinds()[kind].task, data_dir)
        return
    record_property("oracle", (kind, shape, ""))
    assert (shape, kind) in found, refused.get((shape, kind))
    official = by_mteb(models[shape].load(), task_types.kinds()[kind].task, data_dir)
    ours = found[shape, kind]
    assert set(ours) == set(official)
    tolerance = TOLERANCE | ILL_CONDITIONED.get(kind, {}) | ILL_CONDITIONED.get((shape, kind), {})
    compared = 0
    for part, scores in official.items():
        # NaN is not recorded.
        scores = {name: score for name, score in scores.items() if not math.isnan(score)}
        assert ours[part] == pytest.approx(scores, **tolerance), part
        compared += len(scores)
    record_property("oracle", (kind, shape, str(compared)))


def by_mteb(model, name: str, data_dir) -> dict[tuple[str, str], dict[str, float]]:
    """(split, subset) -> scores of mteb's own evaluation of a task that nobody has used."""
    import mteb

    from embedlab import tasks

    (task,) = tasks.resolve([name], data_dir=data_dir)
    tasks.load(task)
    (result,) = mteb.evaluate(
        own_pairwise(model), task, cache=None, show_progress_bar=False
    ).task_results
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
    """mteb knows no distances for aligned pairs
    ("Similarity function not specified."): sentence-transformers' own.
    """
    from mteb.models import SentenceTransformerEncoderWrapper

    class Own(SentenceTransformerEncoderWrapper):
        def similarity_pairwise(self, embeddings1, embeddings2):
            return self.model.similarity_pairwise(embeddings1, embeddings2)

    return (
        Own(model)
        if getattr(model, "similarity_fn_name", "") in ("euclidean", "manhattan")
        else model
    )
