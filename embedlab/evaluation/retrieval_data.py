"""A retrieval task's split: what is searched, what is asked, what is relevant."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Self

from embedlab.errors import UserError
from embedlab.evaluation import metrics
from embedlab.tasks import corpus_texts, rendering
from embedlab.tasks.corpus_texts import CorpusTexts, DocumentIds
from retrievers.names import rows_in

if TYPE_CHECKING:
    from mteb.abstasks import AbsTaskRetrieval


class RetrievalData(NamedTuple):
    """Queries in the task's order; documents, which stay on disk, by their ids, the greatest first
    (see `scorer` on ties).

    candidates (reranking tasks): query id -> document ids, each once; missing: how many judged
    queries and documents the task's data lack, where it lacks some.
    """

    query_ids: list[str]
    queries: list[str]
    document_ids: DocumentIds
    documents: CorpusTexts
    qrels: Mapping[str, Mapping[str, int]]
    judgements: metrics.Judgements
    candidates: Mapping[str, list[str]] | None
    missing: Mapping[str, int] = {}
    split: str = ""
    subset: str = ""

    def ascending(self) -> Self:
        """The same with the smallest id first."""
        return self._replace(
            document_ids=reversed(self.document_ids), documents=reversed(self.documents)
        )


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
    document_ids, rows_by_id = corpus_texts.by_id(data["corpus"])
    candidates = data.get("top_ranked")
    if candidates is not None:  # one that is named twice is one
        candidates = {query: list(dict.fromkeys(among)) for query, among in candidates.items()}
    return RetrievalData(
        query_ids,
        rendering.queries(queries),
        document_ids,
        rendering.documents(data["corpus"], rows_by_id),
        qrels,
        metrics.judge(qrels, query_ids, document_ids),
        candidates,
        _missing(task.metadata.name, qrels, query_ids, document_ids),
        split,
        subset,
    )


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
    judged = list({document for query in query_ids for document in qrels[query]})
    absent = int((rows_in(document_ids, judged) < 0).sum())
    if not query_ids or absent == len(judged):
        what = "documents" if query_ids else "queries"
        raise UserError(
            f"{task}: none of the judged {what} is among its {what}.",
            "Check the ids of its judgements.",
        )
    missing = {"judged queries": len(qrels) - len(query_ids), "judged documents": absent}
    return {what: number for what, number in missing.items() if number}
