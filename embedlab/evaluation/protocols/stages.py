"""The rerankers of a composition at work: their clocks, their bar, and, where they are behind
servers that are paid for, what they will cost, before anything is sent.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from embedlab.models.served.server_models import ServerModel
from embedlab.models.served.server_rerankers import Forecast
from embedlab.progress import Bar, Reporter
from embedlab.spending import shown
from retrievers.pipelines.rerank import ListScorer, Scores, scored


class Stage:
    """A reranker with a clock, and with a bar while there is one.

    Args:
        scorer: the reranker.
        model: whose it is, where it is behind a server.
    """

    def __init__(self, scorer: Any, model: ServerModel | None = None) -> None:
        self.scorer, self.model = scorer, model
        self.bar: Bar | None = None
        self.forecast: Forecast | None = None  # of what it would send, while that is all it does
        self.seconds, self.pairs = 0.0, 0

    def score_lists(self, queries: Sequence[str], lists: Sequence[list[str]]) -> Sequence[Scores]:
        """As `ListScorer`; a scorer of single lists gets one after the other, so that the bar
        moves.
        """
        if self.forecast is not None:
            return self._foreseen(queries, lists, self.forecast)
        together = len(lists) if isinstance(self.scorer, ListScorer) else 1
        scores: list[Scores] = []
        for start in range(0, len(lists), together):
            part = slice(start, start + together)
            began = time.perf_counter()
            scores += scored(self.scorer, queries[part], lists[part])
            self.seconds += time.perf_counter() - began
            pairs = sum(map(len, lists[part]))
            self.pairs += pairs
            if self.bar:
                self.bar.advance(len(lists[part]), pairs)
        return scores

    def _foreseen(
        self, queries: Sequence[str], lists: Sequence[list[str]], forecast: Forecast
    ) -> Sequence[Scores]:
        if self.model is None:  # of this machine: it costs nothing, and shapes what comes behind
            return scored(self.scorer, queries, lists)
        answers: Sequence[Scores] = self.scorer.foresee(queries, lists, forecast)
        return answers


@contextmanager
def watched(stages: Sequence[Stage], queries: int, reporter: Reporter) -> Iterator[None]:
    """A bar over all queries of all stages; none where nothing is reranked."""
    if not stages:
        yield
        return
    with reporter.phase("rerank", queries * len(stages), "pairs") as bar:
        for stage in stages:
            stage.bar = bar
        yield
        for stage in stages:
            stage.bar = None


def check_budget(
    stages: Sequence[Stage], rerank: Callable[[], Any], what: str, reporter: Reporter
) -> None:
    """Say what rerankers behind servers will cost, and refuse what is beyond the budget.

    Candidates are searched for once more than needed, since their texts are what is paid for.

    Args:
        stages: those that a search goes through, in their order.
        rerank: searches; what a server would be asked then is counted, and not asked.
        what: for the message.

    Raises:
        UserError: it is beyond the budget; nothing was sent.
    """
    paid = [stage for stage in stages if stage.model and stage.model.price]
    if not paid:
        return
    for stage in stages:
        stage.forecast = Forecast()
    try:
        rerank()
        forecasts = [(stage.model, stage.forecast) for stage in paid]
    finally:
        for stage in stages:
            stage.forecast = None
    foreseen = [(model, forecast) for model, forecast in forecasts if model and forecast]
    refuse_beyond(foreseen, what, reporter)


def refuse_beyond(
    foreseen: Sequence[tuple[ServerModel, Forecast]], what: str, reporter: Reporter
) -> None:
    """Say what is to be asked of rerankers behind servers, and refuse what is beyond the budget.

    Raises:
        UserError: it is.
    """
    total = 0.0
    for model, forecast in foreseen:
        if model.price and forecast.requests:
            price = model.price.of(forecast.tokens, forecast.queries)
            total += price
            reporter.say(
                f"{model.name}: about {forecast.requests:,} requests of {forecast.tokens:,} tokens,"
                f" {shown(price)}."
            )
    if total:
        foreseen[0][0].options.purse.check(total, what)
