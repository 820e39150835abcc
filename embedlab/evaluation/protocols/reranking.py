"""Cross-encoders: they score pairs, so they rank the candidates that a reranking task gives."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from embedlab.encoding.vectors.views import View
from embedlab.errors import UserError
from embedlab.evaluation.protocols.protocol import Prepared, Protocol, SearchResult
from embedlab.evaluation.protocols.stages import refuse_beyond
from embedlab.evaluation.request import Request
from embedlab.evaluation.retrieval_data import RetrievalData
from embedlab.models import LoadedModel
from embedlab.models.served.server_models import ServerModel
from embedlab.models.served.server_rerankers import Forecast
from embedlab.progress import Reporter
from retrievers import Retriever, rerank, topk
from retrievers.pipelines.rerank import TOGETHER, ListScorer, Listwise, scored

if TYPE_CHECKING:
    from mteb.abstasks import AbsTaskRetrieval


class RerankingModels(Protocol):
    """Models that score a query with a document.

    Raises:
        UserError: there is a budget, and nobody knows what the model behind a server costs.
    """

    def __init__(self, request: Request, model: LoadedModel, reporter: Reporter) -> None:
        super().__init__(request, model, reporter)
        if isinstance(model, ServerModel) and (line := model.stated_price()):
            reporter.say(line)

    def search(
        self,
        task: "AbsTaskRetrieval",
        data: RetrievalData,
        prepared: Prepared,
        view: View,
        *,
        k: int,
    ) -> SearchResult:
        """Every candidate scored.

        Raises:
            UserError: the task has no candidates, or they cost more than the budget.
            RetrieverError: the model gives something other than one finite score for a pair.
        """
        model, reporter = self.model, self.reporter
        if data.candidates is None:
            raise UserError(
                f"{model.name} is a {model.card.kind}-encoder: it reorders candidates, and this"
                " task has none.",
                f'Put it behind a retriever, --model "bm25 >> {model.name}", or choose a reranking'
                " task.",
            )
        lists = [_rows(data, query) for query in data.query_ids]
        rows = np.full((len(lists), max(map(len, lists), default=0)), -1, dtype=np.int32)
        scores = np.full(rows.shape, -np.inf, dtype=np.float32)
        pairs, scorer = sum(map(len, lists)), self.scorer(task)
        ranked = [position for position, among in enumerate(lists) if len(among)]

        def asked(part: Sequence[int]) -> tuple[list[str], list[list[str]]]:
            """Queries, and the texts of their candidates."""
            texts = [data.documents[lists[position]] for position in part]
            return [data.queries[position] for position in part], texts

        if isinstance(model, ServerModel) and model.price:
            forecast = Forecast()
            model.encoder.foresee(*asked(ranked), forecast)
            what = f"{model.name} on {task.metadata.name}"
            refuse_beyond([(model, forecast)], what, reporter)
        began, purse = time.perf_counter(), self.request.server.purse
        before = purse.spent
        with reporter.phase("rerank", pairs, "pairs") as bar:
            for start in range(0, len(ranked), TOGETHER):
                part = ranked[start : start + TOGETHER]
                answers = scored(scorer, *asked(part))
                for position, answer in zip(part, answers, strict=True):
                    rows[position, : len(answer)] = lists[position]
                    scores[position, : len(answer)] = answer
                    bar.advance(len(answer), len(answer))
        seconds = time.perf_counter() - began
        hits = topk.best(rows, scores, k)
        costs = {"search_seconds": seconds, "pairs_per_second": pairs / max(seconds, 1e-9)}
        if isinstance(model, ServerModel):
            costs |= {"price_now_usd": purse.spent - before} if model.price else {}
            if model.encoder.kept:  # not all was asked for now
                costs.pop("pairs_per_second")
        return SearchResult(hits.rows, hits.scores, costs)

    def scorer(self, task: "AbsTaskRetrieval") -> Listwise | ListScorer:
        scorer = rerank(self.model.encoder).scorer
        assert not isinstance(scorer, Retriever)  # the model of a reranker is none
        return scorer


def _rows(data: RetrievalData, query: str) -> np.ndarray:
    """The rows of a query's candidates."""
    candidates = (data.candidates or {}).get(query, [])
    rows = data.document_ids.rows(candidates)
    if (rows < 0).any():
        raise UserError(
            f"The candidate {candidates[int((rows < 0).argmax())]!r} of the query {query!r} is no"
            " document of the task.",
            "Check the ids of its candidates.",
        )
    return rows
