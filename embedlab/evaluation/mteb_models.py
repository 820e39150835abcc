"""Objects that implement mteb's protocols: mteb searches and evaluates with them; rankings are scored here."""

import hashlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from embedlab.errors import UserError
from embedlab.evaluation.retrieval_data import RetrievalData

_HOW = {"batch_size": 32}  # what `mteb.evaluate` passes where nothing else is asked for


class _Timed:
    """An encoder with a clock; everything else is the encoder's own."""

    def __init__(self, model: Any):
        self._model, self.seconds, self.texts = model, 0.0, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def encode(self, inputs: Any, **how: Any) -> Any:
        began = time.perf_counter()
        found = self._model.encode(inputs, **how)
        self.seconds += time.perf_counter() - began
        self.texts += len(found)
        return found


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
    found, clock, spent = _found(model, parts["corpus"], asked, data.candidates, k, task.metadata, split, subset)
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
    found = task.evaluate(model, split, subsets_to_run=subsets, encode_kwargs=dict(_HOW))
    seconds = time.perf_counter() - began
    for subset in subsets:
        yield subset, found[subset], seconds


def fingerprint(model: Any, probes: Sequence[str]) -> str:
    """A digest of what the object makes of a few texts. Its name and revision are only what it says of itself."""
    import mteb
    from datasets import Dataset

    ids = [f"p{n}" for n in range(len(probes))]
    corpus = Dataset.from_dict({"id": ids, "title": [""] * len(ids), "text": list(probes)})
    queries = Dataset.from_dict({"id": ids, "text": list(probes)})
    metadata = mteb.get_task("SciFact").metadata
    found, _, _ = _found(model, corpus, queries, dict.fromkeys(ids, ids), len(ids), metadata, "test", "default")
    ranked = [[query, sorted(scores.items())] for query, scores in sorted(found.items())]
    return hashlib.sha256(repr(ranked).encode()).hexdigest()[:16]


def _found(model: Any, corpus: Any, queries: Any, candidates: Any, k: int, metadata: Any, split: str, subset: str):
    """Query id -> document id -> score, the encoder's clock, and the seconds."""
    from mteb.models.models_protocols import CrossEncoderProtocol, EncoderProtocol, SearchProtocol
    from mteb.models.search_wrappers import SearchCrossEncoderWrapper, SearchEncoderWrapper

    clock, searching = _Timed(model), model  # as `AbsTaskRetrieval` chooses (mteb 2.26)
    if isinstance(model, EncoderProtocol) and not isinstance(model, SearchProtocol):
        searching = SearchEncoderWrapper(clock)
    elif isinstance(model, CrossEncoderProtocol):
        searching = SearchCrossEncoderWrapper(model)
    where = {"task_metadata": metadata, "hf_split": split, "hf_subset": subset, "num_proc": None}
    began = time.perf_counter()
    searching.index(corpus=corpus, encode_kwargs=dict(_HOW), **where)
    built = time.perf_counter()
    found = searching.search(queries=queries, top_k=k, encode_kwargs=dict(_HOW), top_ranked=candidates, **where)
    spent = {"index_seconds": built - began, "search_seconds": time.perf_counter() - built}
    return found, clock, spent
