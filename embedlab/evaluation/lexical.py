"""BM25 on a retrieval task: texts into Lucene, ranked rows out."""

import time

from embedlab.evaluation import retrieval
from embedlab.evaluation.retrieval_data import RetrievalData
from embedlab.evaluation.views import View


def evaluate_lexical(model, task, data: RetrievalData, k: int, split: str, subset: str, phases: dict, reporter):
    """The view and the result of BM25, like those that `run` makes of vectors."""
    from retrievers import make

    retriever = make("lucene", **model.card.settings)
    chunks = (data.documents[start : start + 10_000] for start in range(0, len(data.documents), 10_000))
    rows, scores, spent = retrieval.search(retriever, chunks, data.queries, data, k=k, reporter=reporter)
    started = time.perf_counter()
    result = retrieval.score(task, data, rows, scores, split=split, subset=subset)
    return View(index="lucene"), {
        **result,
        "costs": spent,
        "phases": {
            **phases,
            "index": spent["index_seconds"],
            "search": spent["search_seconds"],
            "score": time.perf_counter() - started,
        },
    }
