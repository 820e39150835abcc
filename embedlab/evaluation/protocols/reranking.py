"""Cross-encoders and late interaction: they score pairs, so they rank the candidates that a reranking task gives."""

import time

import numpy as np

from embedlab.errors import UserError
from embedlab.evaluation.retrieval_data import RetrievalData
from retrievers import rerank, topk
from retrievers.pipelines.rerank import scored


def score_candidates(model, data: RetrievalData, *, k: int, reporter) -> tuple[np.ndarray, np.ndarray, dict]:
    """Rows and scores `[queries, k]` of each query's candidates, and what scoring them cost.

    Raises:
        UserError: the task has no candidates.
        RetrieverError: the model gives something other than one finite score for a pair.
    """
    if data.candidates is None:
        raise UserError(
            f"{model.name} is a {model.card.kind}-encoder: it reorders candidates, and this task has none.",
            f'Put it behind a retriever, --model "bm25 >> {model.name}", or choose a reranking task.',
        )
    row_of = {document: row for row, document in enumerate(data.document_ids)}
    lists = [[row_of[document] for document in data.candidates.get(query, ())] for query in data.query_ids]
    rows = np.full((len(lists), max(map(len, lists), default=0)), -1, dtype=np.int32)
    scores = np.full(rows.shape, -np.inf, dtype=np.float32)
    pairs, scorer = sum(map(len, lists)), rerank(model.encoder).scorer
    began = time.perf_counter()
    with reporter.phase("rerank", pairs, "pairs") as bar:
        for position, (query, among) in enumerate(zip(data.queries, lists, strict=True)):
            if among:
                found = scored(scorer, query, [data.documents[row] for row in among])
                rows[position, : len(among)], scores[position, : len(among)] = among, found
                bar.advance(len(among), len(among))
    seconds = time.perf_counter() - began
    hits = topk.best(rows, scores, k)
    return hits.rows, hits.scores, {"search_seconds": seconds, "pairs_per_second": pairs / max(seconds, 1e-9)}
