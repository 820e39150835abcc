"""BM25 on a retrieval task: texts into Lucene, ranked rows out."""

from collections.abc import Iterator

import numpy as np

from embedlab.evaluation import retrieval
from embedlab.evaluation.retrieval_data import RetrievalData
from retrievers import Retriever, make

_CHUNK = 10_000  # documents handed to Lucene at a time


def search_texts(spec: str, settings: dict, data: RetrievalData, *, k: int, reporter):
    """Rows, scores and costs of a text index such as "lucene" or "lucene:multifield,k1=1.2"; see `text_index`.

    Lucene ranks equal scores in the order in which documents were written: by ascending ids here, as Anserini does.
    """
    last = len(data.document_ids) - 1
    ascending = data._replace(
        document_ids=data.document_ids[::-1],
        documents=data.documents[::-1],
        corpus=data.corpus.select(range(last, -1, -1)),
    )
    index, chunks = text_index(spec, settings), texts(spec, ascending)
    rows, scores, spent = retrieval.search(index, chunks, data.queries, ascending, k=k, reporter=reporter)
    return np.where(rows >= 0, last - rows, -1), scores, spent


def text_index(spec: str, settings: dict) -> Retriever:
    """An empty index of texts.

    Args:
        spec: the index; settings in it win over `settings`.
        settings: the card's: k1 and b.
    """
    named = {option.partition("=")[0] for option in spec.split(",")[1:]}
    return make(spec, **{name: value for name, value in settings.items() if name not in named})


def texts(spec: str, data: RetrievalData) -> Iterator[list]:
    """The documents as the index `spec` takes them, chunk by chunk."""
    return _fields(data) if "multifield" in spec else _joined(data)


def _joined(data: RetrievalData) -> Iterator[list[str]]:
    for start in range(0, len(data.documents), _CHUNK):
        yield data.documents[start : start + _CHUNK]


def _fields(data: RetrievalData) -> Iterator[list[dict]]:
    """Documents with title and text apart."""
    for start in range(0, len(data.documents), _CHUNK):
        columns = data.corpus[start : start + _CHUNK]
        titles = columns.get("title") or [""] * len(columns["text"])
        yield [{"title": title, "text": text} for title, text in zip(titles, columns["text"], strict=True)]
