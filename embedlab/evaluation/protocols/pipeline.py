"""Compositions on a retrieval task:
the very retrievers that are searched elsewhere, over vectors from the store.
"""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from embedlab.encoding.cost import Cost
from embedlab.encoding.vectors.views import View
from embedlab.evaluation import searching
from embedlab.evaluation.protocols.protocol import Prepared, Protocol, SearchResult
from embedlab.evaluation.protocols.stages import Stage, check_budget, watched
from embedlab.evaluation.request import Request
from embedlab.evaluation.retrieval_data import RetrievalData
from embedlab.evaluation.streamed import Streamed
from embedlab.models import LoadedModel
from embedlab.models.composition import ComposedModel, index_of
from embedlab.models.expressions import Leaf
from embedlab.models.served.server_models import ServerModel
from embedlab.progress import Reporter
from retrievers import Encoded, Retriever, index_costs, rerank
from retrievers.indexes.base_index import Index
from retrievers.pipelines.rerank import Rerank

if TYPE_CHECKING:
    from mteb.abstasks import AbsTaskRetrieval


_BETWEEN = " + "  # a view of a composition names the index of each leaf, in their order
_SINGLES = 10  # queries timed one by one where each takes many passes of a reranker


class Compositions(Protocol):
    """Several models as one.

    Args:
        parts: the protocol of each model in it, by name.
    """

    model: ComposedModel

    def __init__(
        self, request: Request, model: ComposedModel, reporter: Reporter, parts: dict[str, Protocol]
    ) -> None:
        super().__init__(request, model, reporter)
        self.parts = parts

    def views(self) -> list[View]:
        """One view for each way in which the indexes asked for fit the leaves;
        leaves are seen in full.
        """
        parts, leaves = self.model.parts, self.model.tree.leaves()
        named = [
            _BETWEEN.join(index_of(leaf, parts[leaf.name].card.kind, requested) for leaf in leaves)
            for requested in self.request.views.indexes or [""]
        ]
        return [View(index=index) for index in dict.fromkeys(named)]

    def prepare(
        self, task: "AbsTaskRetrieval", data: RetrievalData, views: Sequence[View]
    ) -> Prepared:
        """What each part that finds documents prepares, by name; prompts by part, the cost of all.
        What only reranks reads no more than what was found.
        """
        finding = dict.fromkeys(leaf.name for leaf in self.model.tree.leaves())
        prepared = {name: self.parts[name].prepare(task, data, [View()]) for name in finding}
        prompts = {name: each.prompts for name, each in prepared.items() if each.cost}
        return Prepared(
            prepared, prompts, _sum([each.cost for each in prepared.values() if each.cost])
        )

    def search(
        self,
        task: "AbsTaskRetrieval",
        data: RetrievalData,
        prepared: Prepared,
        view: View,
        *,
        k: int,
    ) -> SearchResult:
        """Build the index of every leaf, and search the composition."""
        spent = {"index_seconds": 0.0, "index_bytes": 0.0}
        specs, stages = iter(view.index.split(_BETWEEN)), list[Stage]()
        leaves: list[Retriever] = []

        def leaf(leaf: Leaf) -> Retriever:
            retriever, seconds = self.parts[leaf.name].retriever(
                next(specs), data, prepared.vectors[leaf.name]
            )
            leaves.append(retriever)
            spent["index_seconds"] += seconds
            spent["index_bytes"] += (
                float(retriever.memory_bytes()) if isinstance(retriever, Index | Encoded) else 0.0
            )
            return retriever

        def stage(name: str, depth: int) -> Rerank:
            model = self.model.parts[name]
            served = model if isinstance(model, ServerModel) else None
            stages.append(Stage(self.parts[name].scorer(task), served))
            return rerank(stages[-1], depth)

        retriever = self.model.tree.built(leaf, stage)
        run = partial(searching.run_queries, retriever, data.queries, data, k=k)
        check_budget(stages, run, f"{self.model.name} on {task.metadata.name}", self.reporter)
        before = self.request.server.purse.spent
        with watched(stages, len(data.queries), self.reporter):
            rows, scores, search_costs = run()
        models = [self.model.parts[name] for name in self.model.tree.stages()]
        if any(isinstance(model, ServerModel) and model.price for model in models):
            spent["rerank_price_now_usd"] = self.request.server.purse.spent - before
        if stages and not any(_is_partly_kept(model) for model in models):
            seconds, pairs = (
                sum(getattr(stage, name) for stage in stages) for name in ("seconds", "pairs")
            )
            spent |= {"rerank_seconds": seconds, "pairs_per_second": pairs / max(seconds, 1e-9)}
            if encoded := sum(getattr(stage.scorer, "encode_seconds", 0.0) for stage in stages):
                spent["rerank_encode_seconds"] = encoded
        if any(isinstance(model, ServerModel) for model in models):
            # Asked again, a server's scores are those that were kept: their time says nothing.
            if any(_is_partly_kept(model) for model in models):
                search_costs.pop("queries_per_second")
            return SearchResult(rows, scores, {**spent, **search_costs})
        if any(isinstance(leaf, Streamed) for leaf in leaves):  # each query would be a pass
            return SearchResult(rows, scores, {**spent, **search_costs})
        singles = _SINGLES if stages else 50
        spent |= index_costs.latency(
            retriever, data.queries, min(k, 10, len(data.document_ids)), singles=singles
        )
        return SearchResult(rows, scores, {**spent, **search_costs})


def _is_partly_kept(model: LoadedModel) -> bool:
    """Whether some scores of a reranker behind a server had been asked for before."""
    return isinstance(model, ServerModel) and bool(model.encoder.kept)


def _sum(costs: list[Cost]) -> Cost | None:
    """The same texts went through every part: time and tokens add up, texts do not."""
    if not costs:
        return None
    total = Cost()
    for cost in costs:
        total.add(cost)
    total.texts, total.truncated = costs[0].texts, max(cost.truncated for cost in costs)
    return total
