"""A fresh copy of a loaded task: the state of the beginning, the data that are already there."""

import time

import pytest

from embedlab import tasks
from embedlab.tasks.fresh import fresh


@pytest.fixture
def clustering(tmp_path):
    """A loaded task whose evaluation draws from `rng_state`, with 20,000 texts."""
    rows = "".join(f"w{n % 50} w{n % 7} {n},{n % 5}\n" for n in range(20_000))
    (tmp_path / "TwentyNewsgroupsClustering.v2.csv").write_text("text,label\n" + rows)
    (task,) = tasks.resolve(["TwentyNewsgroupsClustering.v2"], data_dir=tmp_path)
    return tasks.load(task)


def test_every_copy_draws_the_same(clustering):
    first, second = fresh(clustering), fresh(clustering)
    drawn = first.rng_state.random(), first.np_rng.random()
    assert (second.rng_state.random(), second.np_rng.random()) == drawn
    third = fresh(clustering)  # after others were used
    assert (third.rng_state.random(), third.np_rng.random()) == drawn


def test_the_data_are_there_once(clustering):
    clustering.load_data = None  # nobody may read again
    began = time.perf_counter()
    copies = [fresh(clustering) for _ in range(100)]
    assert (time.perf_counter() - began) / 100 < 0.005
    assert all(copy.dataset["test"] is clustering.dataset["test"] for copy in copies)


def test_what_one_copy_changes_no_other_sees(clustering):
    changed = fresh(clustering)
    changed.dataset["test"] = changed.dataset["test"].select(range(3))
    changed.hf_subsets = []
    assert fresh(clustering).dataset["test"].num_rows == 20_000
    assert fresh(clustering).hf_subsets == ["default"]


def test_parts_of_a_retrieval_split_may_be_replaced(tmp_path, beir):
    task = tasks.load(tasks.resolve([str(beir("own"))])[0])
    subset = fresh(task).dataset["default"]
    subset[task.eval_splits[0]]["queries"] = None  # mteb's own retrieval replaces its queries so
    assert fresh(task).dataset["default"][task.eval_splits[0]]["queries"] is not None


def test_a_classifier_is_no_common_property(tmp_path):
    for split in ("train", "test"):
        (tmp_path / f"imdb-{split}.csv").write_text("text,label\na,0\nb,1\n")
    task = tasks.load(tasks.resolve(["ImdbClassification"], data_dir=tmp_path)[0])
    type(task).evaluator_model.fit([[0.0], [1.0]], [0, 1])  # as `mteb.evaluate` does
    fresh(task).evaluator_model.fit([[0.0], [1.0]], [0, 1])
    assert not hasattr(fresh(task).evaluator_model, "coef_")
