"""Whether data are those that MTEB evaluates: by their content, never by a name.

mteb ships statistics of its data sets, by split and subset: samples, lengths and number of distinct
texts, labels, judgements. Data that agree in all of them are taken for the official ones. (It ships
no hash of the content: data that differ in none of these figures, such as judgements exchanged
between two queries, cannot be told apart.)
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import redirect_stderr
from functools import cache, partial
from io import StringIO
from math import isclose
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from xxhash import xxh3_128_digest

from embedlab.compat import mteb_internals
from embedlab.errors import UserError
from embedlab.tasks import beir, corpus_texts, rendering

if TYPE_CHECKING:
    from mteb import AbsTask, TaskMetadata


# One of these must be known, or nothing says what texts they are.
_TEXTS = ("total_text_length", "number_of_characters")


def is_official(task: "AbsTask", subsets: dict[str, Any], splits: Iterable[str]) -> bool:
    """Whether all `splits` of all subsets are the official ones.

    Args:
        task: the mteb task, its `dataset` filled.
        subsets: subset -> split -> data.
        splits: those that the task uses, the one that classifiers are trained on included.
    """
    published: Mapping[str, Any] = task.metadata.descriptive_stats or {}
    for subset, data in subsets.items():
        for split in splits:
            expected = published.get(split) or {}
            if task.metadata.is_multilingual:
                expected = (expected.get("hf_subset_descriptive_stats") or {}).get(subset) or {}
            if not _is_telling(expected) or not _agree(
                expected, _statistics(task, data[split], split, subset)
            ):
                return False
    return True


def known_folder(folder: Path, named: "Collection[type[AbsTask]]" = ()) -> "type[AbsTask] | None":
    """The mteb task of text retrieval in one language whose data a BEIR folder holds;
    None where it holds none's.

    Args:
        folder: of any name.
        named: the tasks that the folder's name stands for: they win where several tasks share their
            data.
    """
    there, parts = set(beir.splits(folder)), beir.files(folder, "")
    if "queries" not in parts:
        return None
    with beir.opened(parts["corpus"]) as lines:
        documents = sum(1 for line in lines if line.strip())
    read = cache(partial(beir.read, folder))
    for kind in sorted(_of_size(documents), key=lambda kind: kind not in named):
        splits = kind.metadata.eval_splits
        try:
            if there.issuperset(splits) and is_official(
                kind(), {"default": _Reading(read)}, splits
            ):
                return kind
        except UserError:  # loading says so again
            return None
    return None


class _Reading(dict[str, Any]):
    """split -> data, read when it is asked for."""

    def __init__(self, read: Callable[[str], dict[str, Any]]) -> None:
        self._read = read

    def __missing__(self, split: str) -> dict[str, Any]:
        return self._read(split)


@cache
def _of_size(documents: int) -> "tuple[type[AbsTask], ...]":
    """The text retrieval tasks in one language whose corpus has this many documents."""
    from embedlab.tasks.mteb_tasks import registry

    return tuple(
        kind
        for kind in registry().values()
        if kind.metadata.type
        in ("Retrieval", "Reranking", "InstructionRetrieval", "InstructionReranking")
        and kind.metadata.modalities == ["text"]
        and not kind.metadata.is_multilingual
        and documents in _sizes(kind.metadata)
    )


def _sizes(metadata: "TaskMetadata") -> set[int]:
    published: Mapping[str, Any] = metadata.descriptive_stats or {}
    return {
        published[split].get("num_documents")
        for split in metadata.eval_splits
        if published.get(split)
    }


def _is_telling(expected: dict[str, Any]) -> bool:
    texts = [value for value in expected.values() if isinstance(value, dict)]
    return "num_samples" in expected and any(
        part.get(name) for part in (expected, *texts) for name in _TEXTS
    )


def _statistics(task: "AbsTask", data: Any, split: str, subset: str) -> dict[str, Any]:
    from mteb.abstasks import AbsTaskRetrieval

    if isinstance(task, AbsTaskRetrieval):
        return _of_retrieval(data)
    with redirect_stderr(StringIO()):  # mteb shows bars over what takes a moment
        return mteb_internals.descriptive_statistics(
            task, split, subset if task.metadata.is_multilingual else None
        )


def _of_retrieval(data: dict[str, Any]) -> dict[str, Any]:
    """As mteb counts them;
    its own function walks through the rows one by one, minutes on millions.
    """
    documents = _of_texts(rendering.documents(data["corpus"]))
    queries = _of_texts(rendering.queries(data["queries"]))
    ids, judged, ranked = data["queries"][:]["id"], data["relevant_docs"], data["top_ranked"]
    return {
        "num_samples": len(data["corpus"]) + len(ids),
        "num_documents": len(data["corpus"]),
        "num_queries": len(ids),
        "number_of_characters": documents["total_text_length"] + queries["total_text_length"],
        "documents_text_statistics": documents,
        "queries_text_statistics": queries,
        "relevant_docs_statistics": mteb_internals.judgement_statistics(
            judged, ids, corpus_texts.by_id(data["corpus"])[0]
        ),
        "top_ranked_statistics": (
            mteb_internals.candidate_statistics(ranked, len(ids)) if ranked else None
        ),
    }


def _of_texts(texts: Sequence[str]) -> dict[str, Any]:
    facts = np.empty((len(texts), 3), dtype=np.uint64)  # length, and 128 bits of what it says
    for row, text in enumerate(texts):
        digest = xxh3_128_digest(text.encode("utf-8", "surrogatepass"))
        facts[row] = len(text), *np.frombuffer(digest, np.uint64)
    lengths = facts[:, 0]
    return {
        "total_text_length": int(lengths.sum()),
        "min_text_length": int(lengths.min()),
        "max_text_length": int(lengths.max()),
        "unique_texts": len(np.unique(facts[:, 1:], axis=0)),
    }


def _agree(expected: Any, actual: Any) -> bool:
    """Whether two statistics are equal in all that both name;
    labels may be numbered in another order.
    """
    if isinstance(expected, dict) and isinstance(actual, dict):
        if "labels" in expected and "labels" in actual and expected["labels"] and actual["labels"]:
            expected, actual = (
                {**each, "labels": _counts(each["labels"])} for each in (expected, actual)
            )
        return all(
            _agree(value, actual[key])
            for key, value in expected.items()
            if key in actual and value is not None
        )
    if isinstance(expected, float) or isinstance(actual, float):
        return actual is not None and isclose(expected, actual, rel_tol=1e-6, abs_tol=1e-9)
    return bool(expected == actual)


def _counts(labels: dict[str, Any]) -> list[int]:
    return sorted(value["count"] if isinstance(value, dict) else value for value in labels.values())
