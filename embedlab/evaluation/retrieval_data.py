"""A retrieval task's split as plain lists: what is searched, what is asked, what is relevant."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from embedlab.errors import UserError
from embedlab.evaluation import metrics
from embedlab.tasks import rendering

if TYPE_CHECKING:
    from datasets import Dataset
    from mteb.abstasks import AbsTaskRetrieval


class RetrievalData(NamedTuple):
    """Queries in the task's order; documents by their ids,
    the greatest first (see `scorer` on ties).

    corpus: the data set that `documents` was rendered from, in their order; candidates (reranking
    tasks): query id -> document ids, each once; missing: how many judged queries and documents the
    task's data lack, where it lacks some.
    """

    query_ids: list[str]
    queries: list[str]
    document_ids: list[str]
    documents: list[str]
    corpus: Any
    qrels: Mapping[str, Mapping[str, int]]
    judgements: metrics.Judgements
    candidates: Mapping[str, list[str]] | None
    missing: Mapping[str, int] = {}
    split: str = ""
    subset: str = ""


def retrieval_data(task: "AbsTaskRetrieval", split: str, subset: str) -> RetrievalData:
    """The texts as mteb renders them: title, blank, text; queries followed by their instruction
    where they have one.

    Queries without a judgement are left out, as mteb does. Nothing depends on the order of the
    corpus.

    Raises:
        UserError: no query, or no document, of the judgements is there.
    """
    task.convert_v1_dataset_format_to_v2(num_proc=None)
    assert task.dataset is not None  # it is loaded
    data = task.dataset[subset][split]
    qrels = {str(query): judged for query, judged in data["relevant_docs"].items() if judged}
    # A data set's column is read row by row when it is walked through;
    # a slice of the data set is read at once.
    rows = [row for row, query in enumerate(data["queries"][:]["id"]) if query in qrels]
    queries = data["queries"].select(rows)
    query_ids = queries[:]["id"]
    corpus = _by_id(data["corpus"])
    document_ids, documents = corpus[:]["id"], rendering.documents(corpus)
    candidates = data.get("top_ranked")
    if candidates is not None:  # one that is named twice is one
        candidates = {query: list(dict.fromkeys(among)) for query, among in candidates.items()}
    return RetrievalData(
        query_ids,
        rendering.queries(queries),
        document_ids,
        documents,
        corpus,
        qrels,
        metrics.judge(qrels, query_ids, document_ids),
        candidates,
        _missing(task.metadata.name, qrels, query_ids, document_ids),
        split,
        subset,
    )


def _by_id(corpus: "Dataset") -> "Dataset":
    """The corpus by descending ids,
    so that neither ties nor batches nor graphs depend on the order of a file.
    """
    ids = np.array(corpus[:]["id"], dtype=np.dtypes.StringDType())
    order = np.argsort(ids, kind="stable")[::-1]
    return corpus if (order[:-1] < order[1:]).all() else corpus.select(order)


def missing_message(missing: Mapping[str, int]) -> str:
    """What is said of judged queries and documents that are not there."""
    one = {
        "judged documents": ("judged document", "the corpus"),
        "judged queries": ("judged query", "the queries"),
    }
    parts = []
    for what, number in missing.items():
        name, place = one[what]
        parts.append(
            f"1 {name} is not in {place}"
            if number == 1
            else f"{number:,} {what} are not in {place}"
        )
    documents = (
        " Such documents stay relevant, and count as not found."
        if "judged documents" in missing
        else ""
    )
    return "; ".join(parts) + "." + documents


def _missing(
    task: str,
    qrels: Mapping[str, Mapping[str, int]],
    query_ids: Sequence[str],
    document_ids: Sequence[str],
) -> dict[str, int]:
    """How many of the judged queries and documents are not there."""
    judged = {document for query in query_ids for document in qrels[query]}
    absent = judged.difference(document_ids)
    if not query_ids or len(absent) == len(judged):
        what = "documents" if query_ids else "queries"
        raise UserError(
            f"{task}: none of the judged {what} is among its {what}.",
            "Check the ids of its judgements.",
        )
    missing = {"judged queries": len(qrels) - len(query_ids), "judged documents": len(absent)}
    return {what: number for what, number in missing.items() if number}
