"""mteb's private API is what embedlab reads it for."""

import random

import mteb
import numpy as np
import torch
from datasets import Dataset
from mteb.types import PromptType

from embedlab.compat import mteb_internals


def test_a_seed_sets_all_global_generators():
    drawn = []
    for _ in range(2):
        mteb_internals.set_seed(7)
        drawn.append((random.random(), float(np.random.rand()), float(torch.rand(1))))
    assert drawn[0] == drawn[1]
    mteb_internals.set_seed(8)
    assert random.random() != drawn[0][0]


def test_task_classes_are_those_that_mteb_makes():
    classes = mteb_internals.task_classes()
    assert len(classes) > 1000
    assert type(mteb.get_task("SciFact")) is classes["SciFact"]
    assert all(name == kind.metadata.name for name, kind in list(classes.items())[:50])


def test_retrieval_texts_join_title_text_and_instruction():
    corpus = Dataset.from_dict({"id": ["a", "b"], "title": ["T", ""], "text": ["one", "two"]})
    assert mteb_internals.retrieval_texts(corpus, PromptType.document) == ["T one", "two"]
    queries = Dataset.from_dict({"id": ["q"], "text": ["what"], "instruction": ["briefly"]})
    assert mteb_internals.retrieval_texts(queries, PromptType.query) == ["what briefly"]


def test_statistics_count_judgements_and_candidates():
    judged = {"q1": {"a": 1, "b": 1}, "q2": {"a": 1}}
    found = mteb_internals.judgement_statistics(judged, ["q1", "q2"], ["a", "b"])
    assert found["num_relevant_docs"] == 3
    assert found["average_relevant_docs_per_query"] == 1.5
    ranked = mteb_internals.candidate_statistics({"q1": ["a", "b"], "q2": ["a"]}, 2)
    assert (ranked["num_top_ranked"], ranked["max_top_ranked_per_query"]) == (3, 2)


def test_descriptive_statistics_of_a_task():
    task = mteb.get_task("STSBenchmark")
    columns = {"sentence1": ["ab", "c"], "sentence2": ["d", "efg"], "score": [1.0, 3.0]}
    task.dataset, task.data_loaded = {"test": Dataset.from_dict(columns)}, True
    found = mteb_internals.descriptive_statistics(task, "test", None)
    assert found["num_samples"] == 2
    assert found["text1_statistics"]["total_text_length"] == 3
