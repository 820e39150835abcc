"""One task under one model: every split, subset and view,
by our retrieval or by mteb's evaluators.
"""

from collections.abc import Iterator
from typing import Any

from embedlab.errors import UserError
from embedlab.evaluation import retrieval
from embedlab.evaluation.protocols.protocol import Protocol
from embedlab.evaluation.task_result import TaskResult
from embedlab.tasks import recorded_name
from embedlab.tasks.fresh import fresh


def evaluate_task(protocol: Protocol, task: Any) -> Iterator[TaskResult]:
    """Evaluate a loaded task of mteb.

    Raises:
        UserError: the model cannot do the task, or has not what the request sees of it.
    """
    from mteb.abstasks import AbsTaskRetrieval

    searches, model, reporter = (
        isinstance(task, AbsTaskRetrieval),
        protocol.model,
        protocol.reporter,
    )
    views = protocol.views()
    if not searches:
        if any(view.chunk for view in views):
            raise UserError(
                f"{task.metadata.name} searches no documents: --chunk is for retrieval tasks.",
                "Leave --chunk out for it.",
            )
        views = list(dict.fromkeys(view._replace(index="") for view in views))
    if getattr(task, "unofficial", False):
        here, name = task.sources[0], task.metadata.name
        reporter.say(
            f"{here} does not hold MTEB's data of {name}: its scores are recorded as"
            f" {recorded_name(task)}."
        )
    copies = {view: fresh(task) for view in views}  # what a view sees does not depend on the others
    if not protocol.sees_views and not protocol.request.views.full:
        reporter.say(
            f"{model.name} is seen in full: --layers, --dims and --precision are for dense models."
        )
    for split in task.eval_splits:
        for subsets in _together(task):
            part = split if subsets == ["default"] else f"{split}, {', '.join(subsets)}"
            reporter.say(f"{model.name} on {recorded_name(task)} ({part})")
            if searches:
                yield from retrieval.evaluate(protocol, copies, split, *subsets)
            else:
                yield from protocol.score(copies, split, subsets)


def _together(task: Any) -> list[list[str]]:
    """The subsets in the order and the groups in which mteb evaluates them: parallel columns of
    texts all at once.
    """
    if getattr(task, "parallel_subsets", False):
        return [list(task.hf_subsets)]
    return [[subset] for subset in task.hf_subsets]
