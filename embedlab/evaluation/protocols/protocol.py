"""What evaluating a kind of model takes: prepare, then search or score, and say what it cost."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from embedlab.encoding import model_chunks
from embedlab.encoding.cost import Cost
from embedlab.encoding.vectors.views import View
from embedlab.errors import UserError
from embedlab.evaluation.request import Request
from embedlab.evaluation.retrieval_data import RetrievalData
from embedlab.evaluation.task_result import TaskResult
from embedlab.models import LoadedModel
from embedlab.models.composition import fitting
from embedlab.models.kinds import Kind
from embedlab.options import EncodingOptions
from embedlab.progress import Reporter
from retrievers import Retriever
from retrievers.pieces import Pieces
from retrievers.pipelines.rerank import ListScorer, Listwise

if TYPE_CHECKING:
    from mteb.abstasks import AbsTaskRetrieval


@dataclass
class Prepared:
    """What a model made of a task's texts before it searches them:
    its vectors, their prompts, what they cost.
    """

    vectors: Any = None
    prompts: Mapping[str, Any] = field(default_factory=dict)
    cost: Cost | None = None
    pieces: Pieces | None = None  # where documents are searched in chunks
    # What a view found that others are measured against, by what it saw.
    exact: dict[Any, np.ndarray] = field(default_factory=dict)


class SearchResult(NamedTuple):
    """The answer to all queries of a task.

    rows: int32 `[queries, k]` into the documents, -1 for none; scores: float32 `[queries, k]`;
    costs: by name.
    """

    rows: np.ndarray
    scores: np.ndarray
    costs: dict[str, float]


class Protocol(ABC):
    """How a kind of model is evaluated.

    Args:
        request: what the user asked for.
        model: the loaded model.
        reporter: where progress is shown.
    """

    smaller_id_first: ClassVar[bool] = False  # of documents that score alike (see `metrics`)
    sees_views: ClassVar[bool] = False  # layers, dimensions and precisions
    cuts_documents: ClassVar[bool] = False  # searches them in chunks, where that is asked for

    def __init__(self, request: Request, model: LoadedModel, reporter: Reporter) -> None:
        self.request, self.model, self.reporter = request, model, reporter
        if any(request.views.chunkings) and not self.cuts_documents:
            raise UserError(
                f"{model.name} is a {model.card.kind} model: --chunk is for dense and sparse ones"
                " and bm25.",
                "Evaluate it without --chunk.",
            )
        keeps = model.card.kind.encodes or model.card.kind is Kind.HYBRID  # its parts say it
        if not keeps and request.encoding != EncodingOptions():
            options = "--store-dtype, --batch-tokens, --workers and --compile"
            reporter.say(f"{model.name} gives no vectors to keep: {options} are not for it.")

    def views(self) -> list[View]:
        """What the request sees of the model: here, the whole of it through each index that fits.

        Raises:
            UserError: the model has no such layer or dimension.
        """
        indexes = fitting(self.model.card.kind, self.request.views.indexes)
        return self._cut([View(index=index) for index in indexes])

    def _cut(self, views: list[View]) -> list[View]:
        """The views of each way to cut documents, each way once.

        Raises:
            UserError: the model's texts cannot be cut so.
        """
        asked = self.request.views.chunkings
        ways = dict.fromkeys(
            model_chunks.resolved(self.model, each) if each else "" for each in asked
        )
        return [view._replace(chunk=chunk) for chunk in ways for view in views]

    def prepare(
        self, task: "AbsTaskRetrieval", data: RetrievalData, views: Sequence[View]
    ) -> Prepared:
        """What all views of a searching task share."""
        return Prepared()

    @abstractmethod
    def search(
        self,
        task: "AbsTaskRetrieval",
        data: RetrievalData,
        prepared: Prepared,
        view: View,
        *,
        k: int,
    ) -> SearchResult:
        """The `k` best documents for each query of a searching task.

        Args:
            task: mteb's, for this view alone.
        """

    def score(
        self, tasks: Mapping[View, Any], split: str, subsets: list[str]
    ) -> Iterator[TaskResult]:
        """Evaluate a task of another type, through mteb's evaluators.

        Args:
            tasks: mteb's task, one for each view.
            subsets: those that mteb evaluates together.

        Raises:
            UserError: the model gives no vector per text, which such a task needs.
        """
        task = next(iter(tasks.values()))
        raise UserError(
            f"{self.model.name} is a {self.model.card.kind} model: {task.metadata.type} needs a"
            " vector per text.",
            "Choose retrieval or reranking tasks for it.",
        )

    def scorer(self, task: "AbsTaskRetrieval") -> Listwise | ListScorer:
        """What ranks candidates, as a stage of a composition."""
        raise self._unfit("stage")

    def retriever(
        self, spec: str, data: RetrievalData, prepared: Prepared
    ) -> tuple[Retriever, float]:
        """A text retriever over the documents, as a leaf of a composition,
        and the seconds that building it took.
        """
        raise self._unfit("part")

    def _unfit(self, place: str) -> UserError:
        return UserError(
            f"{self.model.name} cannot be a {place} of a composition: mteb searches with it.",
            "Evaluate it alone, or give an object with encode(texts) or predict(pairs).",
        )
