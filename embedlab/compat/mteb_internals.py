"""Private API of mteb, read in mteb 2.26. Imported on the first call: mteb takes seconds."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

if TYPE_CHECKING:
    from datasets import Dataset
    from mteb import AbsTask
    from mteb.types import PromptType


def set_seed(seed: int) -> None:
    """Seed the global generators of `random`, numpy and torch as a task does when it is made
    (`mteb._set_seed`).
    """
    from mteb._set_seed import _set_seed

    _set_seed(seed)


def reseed(task: "AbsTask", seed: int) -> None:
    """Give a task that is not loaded the state that it has when it is made with another seed
    (`AbsTask.__init__`).
    """
    from mteb._set_seed import _set_seed

    task.seed = seed
    task.rng_state, task.np_rng = _set_seed(seed)


def task_classes() -> "dict[str, type[AbsTask]]":
    """mteb's task classes by name (`mteb.get_tasks._TASKS_REGISTRY`)."""
    from mteb.get_tasks import _TASKS_REGISTRY

    return _TASKS_REGISTRY


def retrieval_texts(rows: "Dataset", role: "PromptType") -> list[str]:
    """The text of each document or query as a model reads it
    (`mteb._create_dataloaders._retrieval_texts`).
    """
    from mteb._create_dataloaders import _retrieval_texts

    return list(_retrieval_texts(rows, role))


def descriptive_statistics(task: "AbsTask", split: str, subset: str | None) -> dict[str, Any]:
    """mteb's statistics of a task's split
    (`AbsTask._calculate_descriptive_statistics_from_split`).
    """
    return dict(task._calculate_descriptive_statistics_from_split(split=split, hf_subset=subset))


def judgement_statistics(
    judged: Mapping[str, Mapping[str, int]], queries: Sequence[str], documents: Sequence[str]
) -> dict[str, Any]:
    """mteb's statistics of qrels (`mteb.abstasks._statistics_calculation`)."""
    from mteb.abstasks import _statistics_calculation

    return dict(
        _statistics_calculation.calculate_relevant_docs_statistics(judged, queries, documents)
    )


def candidate_statistics(ranked: Mapping[str, list[str]], queries: int) -> dict[str, Any]:
    """mteb's statistics of the candidates of a reranking task
    (`mteb.abstasks._statistics_calculation`).
    """
    from mteb.abstasks import _statistics_calculation

    return dict(_statistics_calculation.calculate_top_ranked_statistics(ranked, queries))


class Scoring(NamedTuple):
    """One call of the function by which a task scores what was predicted: arguments and answer."""

    arguments: tuple[Any, ...]
    answer: Any


@contextmanager
def scorings(task: "AbsTask") -> Iterator[list[Scoring]]:
    """The calls of the functions by which a task scores, in their order, while it evaluates:
    `_calculate_scores` (STS, classification: one for each experiment), `_compute_metrics` (pair
    classification, bitext mining: one for each pair of languages), `_calculate_metrics` (of the
    evaluator of summaries, which comes first among the arguments),
    `v_measure_score` of each bootstrap and then `_evaluate_clustering_bootstrapped`.
    """
    from mteb import abstasks
    from mteb.abstasks import clustering

    calls: list[Scoring] = []

    def watched(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            answer = function(*arguments, **named)
            calls.append(Scoring(arguments, answer))
            return answer

        return call

    with ExitStack() as stack:
        if isinstance(task, abstasks.AbsTaskClustering):
            for name in ("v_measure_score", "_evaluate_clustering_bootstrapped"):
                stack.enter_context(
                    patch.object(clustering, name, watched(getattr(clustering, name)))
                )
        elif isinstance(task, abstasks.AbsTaskSummarization):
            scored = {"_calculate_metrics": watched(task.evaluator._calculate_metrics)}
            stack.enter_context(
                patch.object(task, "evaluator", type("Watched", (task.evaluator,), scored))
            )
        else:
            for name in ("_calculate_scores", "_compute_metrics"):
                if hasattr(task, name):
                    stack.enter_context(patch.object(task, name, watched(getattr(task, name))))
        yield calls
