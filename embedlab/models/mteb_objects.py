"""Objects that implement mteb's protocols: their own search,
through mteb's wrappers, and what identifies them.
"""

import hashlib
import time
from collections.abc import Sequence
from typing import Any

HOW = {"batch_size": 32}  # what `mteb.evaluate` passes where nothing else is asked for


def fingerprint(model: Any, probes: Sequence[str]) -> str:
    """A digest of what the object makes of a few texts.
    Its name and revision are only what it says of itself.
    """
    import mteb
    from datasets import Dataset

    ids = [f"p{n}" for n in range(len(probes))]
    corpus = Dataset.from_dict({"id": ids, "title": [""] * len(ids), "text": list(probes)})
    queries = Dataset.from_dict({"id": ids, "text": list(probes)})
    metadata = mteb.get_task("SciFact").metadata
    results, _, _ = searched(
        model, corpus, queries, dict.fromkeys(ids, ids), len(ids), metadata, "test", "default"
    )
    ranked = [[query, sorted(scores.items())] for query, scores in sorted(results.items())]
    return hashlib.sha256(repr(ranked).encode()).hexdigest()[:16]


def searched(
    model: Any,
    corpus: Any,
    queries: Any,
    candidates: Any,
    k: int,
    metadata: Any,
    split: str,
    subset: str,
) -> "tuple[dict[str, dict[str, float]], _Timed, dict[str, float]]":
    """An object's own search: query id -> document id -> score,
    the encoder's clock, and the seconds.
    """
    from mteb.models.models_protocols import CrossEncoderProtocol, EncoderProtocol, SearchProtocol
    from mteb.models.search_wrappers import SearchCrossEncoderWrapper, SearchEncoderWrapper

    clock, searching = _Timed(model), model  # as `AbsTaskRetrieval` chooses (mteb 2.26)
    if isinstance(model, EncoderProtocol) and not isinstance(model, SearchProtocol):
        searching = SearchEncoderWrapper(clock)
    elif isinstance(model, CrossEncoderProtocol):
        searching = SearchCrossEncoderWrapper(model)
    where = {"task_metadata": metadata, "hf_split": split, "hf_subset": subset, "num_proc": None}
    began = time.perf_counter()
    searching.index(corpus=corpus, encode_kwargs=dict(HOW), **where)
    built = time.perf_counter()
    results = searching.search(
        queries=queries, top_k=k, encode_kwargs=dict(HOW), top_ranked=candidates, **where
    )
    spent = {"index_seconds": built - began, "search_seconds": time.perf_counter() - built}
    return results, clock, spent


class _Timed:
    """An encoder with a clock; everything else is the encoder's own."""

    def __init__(self, model: Any) -> None:
        self._model, self.seconds, self.texts = model, 0.0, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def encode(self, inputs: Any, **how: Any) -> Any:
        began = time.perf_counter()
        vectors = self._model.encode(inputs, **how)
        self.seconds += time.perf_counter() - began
        self.texts += len(vectors)
        return vectors
