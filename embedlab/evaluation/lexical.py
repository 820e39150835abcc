"""BM25 on a retrieval task: texts into Lucene, ranked rows out."""

from collections.abc import Iterator

from embedlab.evaluation import retrieval
from embedlab.evaluation.retrieval_data import RetrievalData
from retrievers import make

_CHUNK = 10_000  # documents handed to Lucene at a time


def search_texts(spec: str, settings: dict, data: RetrievalData, *, k: int, reporter):
    """Rows, scores and costs of a text index such as "lucene" or "lucene:multifield,k1=1.2".

    Args:
        spec: the index; settings in it win over `settings`.
        settings: the card's: k1 and b.
    """
    named = {option.partition("=")[0] for option in spec.split(",")[1:]}
    retriever = make(spec, **{name: value for name, value in settings.items() if name not in named})
    chunks = _fields(data) if "multifield" in spec else _joined(data)
    return retrieval.search(retriever, chunks, data.queries, data, k=k, reporter=reporter)


def _joined(data: RetrievalData) -> Iterator[list[str]]:
    for start in range(0, len(data.documents), _CHUNK):
        yield data.documents[start : start + _CHUNK]


def _fields(data: RetrievalData) -> Iterator[list[dict]]:
    """Documents with title and text apart."""
    for start in range(0, len(data.documents), _CHUNK):
        columns = data.corpus[start : start + _CHUNK]
        titles = columns.get("title") or [""] * len(columns["text"])
        yield [{"title": title, "text": text} for title, text in zip(titles, columns["text"], strict=True)]
