"""A retrieval task's split as plain lists: what is searched, what is asked, what is relevant."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from embedlab.evaluation import scorer


class RetrievalData(NamedTuple):
    """Queries and documents in row order.

    corpus: the data set that `documents` was rendered from; candidates (reranking tasks): query id -> document ids.
    """

    query_ids: list[str]
    queries: list[str]
    document_ids: list[str]
    documents: list[str]
    corpus: Any
    qrels: Mapping[str, Mapping[str, int]]
    judgements: scorer.Judgements
    candidates: Mapping[str, list[str]] | None


def retrieval_data(task, split: str, subset: str) -> RetrievalData:
    """The texts as mteb renders them: title, blank, text; queries followed by their instruction where they have one.

    Queries without a positive judgement are left out, as mteb does.
    """
    from mteb._create_dataloaders import _retrieval_texts
    from mteb.types import PromptType

    task.convert_v1_dataset_format_to_v2(num_proc=None)
    data = task.dataset[subset][split]
    qrels = {str(query): judged for query, judged in data["relevant_docs"].items() if judged}
    # A data set's column is read row by row when it is walked through; a slice of the data set is read at once.
    rows = [row for row, query in enumerate(data["queries"][:]["id"]) if query in qrels]
    queries = data["queries"].select(rows)
    query_ids = queries[:]["id"]
    corpus = data["corpus"]
    columns = corpus[:]
    document_ids = columns["id"]
    if set(corpus.column_names) <= {"id", "text", "title"}:  # mteb's own function maps row by row, minutes on millions
        titles = columns.get("title", [""] * len(corpus))
        documents = [
            f"{title} {text}".strip() if title else text.strip()
            for title, text in zip(titles, columns["text"], strict=True)
        ]
    else:
        documents = list(_retrieval_texts(corpus, PromptType.document))
    return RetrievalData(
        query_ids,
        list(_retrieval_texts(queries, PromptType.query)),
        document_ids,
        documents,
        corpus,
        qrels,
        scorer.judge(qrels, query_ids, document_ids),
        data.get("top_ranked"),
    )
