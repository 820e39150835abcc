"""Objects that implement mteb's protocols: mteb searches and evaluates with them; rankings are scored here."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from embedlab.errors import UserError
from embedlab.evaluation.retrieval_data import RetrievalData
from embedlab.models import mteb_objects


def search(model: Any, task: Any, data: RetrievalData, split: str, subset: str, *, k: int):
    """Rows and scores `[queries, k]` of an object's own search, and what it cost.

    Args:
        model: implements `EncoderProtocol`, `CrossEncoderProtocol` or `SearchProtocol`.
        task: the loaded retrieval task; data: the same as lists.

    Raises:
        UserError: the object names a document that the task does not have.
    """
    parts = task.dataset[subset][split]
    known = set(data.query_ids)
    asked = parts["queries"].select([row for row, id in enumerate(parts["queries"][:]["id"]) if id in known])
    found, clock, spent = mteb_objects.searched(
        model, parts["corpus"], asked, data.candidates, k, task.metadata, split, subset
    )
    row_of = {document: row for row, document in enumerate(data.document_ids)}
    rows = np.full((len(data.query_ids), k), -1, dtype=np.int32)
    scores = np.full(rows.shape, -np.inf, dtype=np.float32)
    for place, query in enumerate(data.query_ids):
        best = sorted(found.get(query, {}).items(), key=lambda pair: (pair[1], pair[0]), reverse=True)[:k]
        if strange := [document for document, _ in best if document not in row_of]:
            raise UserError(f"The search found a document {strange[0]!r}, which {task.metadata.name} does not have.")
        rows[place, : len(best)] = [row_of[document] for document, _ in best]
        scores[place, : len(best)] = [score for _, score in best]
    if clock.texts:
        spent |= {"encode_seconds": clock.seconds, "texts_per_second": clock.texts / max(clock.seconds, 1e-9)}
        spent["search_seconds"] -= clock.seconds
    return rows, scores, spent


def evaluate(model: Any, task: Any, split: str, subsets: list[str]) -> Iterator[tuple[str, dict, float]]:
    """Subset, scores and seconds of a task that is no search, by mteb's own evaluator."""
    from mteb._set_seed import _set_seed

    _set_seed(task.seed)
    began = time.perf_counter()
    found = task.evaluate(model, split, subsets_to_run=subsets, encode_kwargs=dict(mteb_objects.HOW))
    seconds = time.perf_counter() - began
    for subset in subsets:
        yield subset, found[subset], seconds
