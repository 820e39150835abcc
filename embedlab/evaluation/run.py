"""A run: plan, encode, view, search, score, record; one failed task never costs the others."""

from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from embedlab import tasks
from embedlab.compat.mteb_internals import reseed
from embedlab.errors import reason
from embedlab.evaluation import cluster_jobs
from embedlab.evaluation.model_run import Finished, ModelRuns, ModelTasks
from embedlab.evaluation.request import Request
from embedlab.evaluation.requested import requested_tasks
from embedlab.evaluation.shares import planned, store_of
from embedlab.evaluation.unused import ranks, refuse_unsearched, refuse_unused
from embedlab.models import LoadedModel, composition
from embedlab.models.cards import Card
from embedlab.progress import Reporter
from embedlab.tasks import availability
from leaderboard import records
from leaderboard.storage.store import Store

if TYPE_CHECKING:
    from mteb import AbsTask


@dataclass
class Outcome:
    """What came of a request: the stored runs, and what failed."""

    runs: list[records.Run] = field(default_factory=list)
    failures: list[records.Failure] = field(default_factory=list)
    alone: bool = False  # a single evaluation was asked for


def evaluate(
    request: Request,
    reporter: Reporter | None = None,
    given: Mapping[str, LoadedModel] | None = None,
    turn: int = 0,
) -> Outcome:
    """Evaluate every model on every task and record each result as it is finished.

    Args:
        request: names models and tasks.
        reporter: where progress is shown.
        given: those of the named models that are objects (`embedlab.models.objects`).
        turn: of several requests one after the other, which this is (`shares.planned`).

    Raises:
        UserError: a name in the request is unknown; nothing has been run then.
    """
    reporter, given = reporter or Reporter(request.db), given or {}
    names = list(dict.fromkeys(request.models))
    # Settings in another order are the same model.
    by_card: dict[tuple[str, str], tuple[str, Card]] = {}
    for name in names:
        card = given[name].card if name in given else composition.find(name)
        by_card.setdefault((card.name, card.source), (name, card))
    names, cards = [name for name, _ in by_card.values()], [card for _, card in by_card.values()]
    refuse_unused(request, names, given)
    selected = requested_tasks(request)
    refuse_unsearched(request, selected)
    if request.task.seed is not None:
        for task in selected:
            reseed(task, request.task.seed)
    if request.task.data_dir and not any(
        tasks.is_mirrored(task, request.task.data_dir) for task in selected
    ):
        reporter.say(f"Nothing in {request.task.data_dir} belongs to these tasks.")
    array = request.share.array
    plan = planned(array, cards, selected, turn)
    selected, out_of_reach = availability.split(selected, request.tasks)
    if out_of_reach:
        reporter.say(out_of_reach.problem)
    # What fails is said at once, unless it is all that was asked for:
    # the error that ends the run says it then.
    store = Store(request.db or store_of(array))
    if array:  # whoever merges finds a store of every share
        store.make()
    outcome = Outcome(alone=len(names) * len(selected) == 1 and not out_of_reach)
    parts = []
    for name, card, own in zip(names, cards, plan, strict=True):
        if out_of_reach and any(task.metadata.name == out_of_reach.tasks[0] for task in own):
            missing = records.Failure(
                name, out_of_reach.benchmarks, *out_of_reach.why, asked=request.plain()
            )
            outcome.failures.append(missing)
        fitting = [task for task in selected if _applies(card, task)]
        todo = [task for task in own if task in fitting]
        for task in own:
            if task in selected and task not in fitting:
                reporter.say(
                    f"{card.name} skips {task.metadata.name}: {task.metadata.type} needs a vector"
                    " per text."
                )
        if todo or not array:
            parts.append(ModelTasks(name, todo, fitting))
    doing = cluster_jobs.done if request.share.cluster else _done
    with closing(doing(request, names, parts, given, reporter)) as results:
        _keep(results, outcome, store, request, reporter)
    # A request of which nothing came leaves the store as it was; of a share nobody knows yet.
    if outcome.runs or (array and not outcome.alone):
        for failure in outcome.failures:
            store.add_failure(failure)
    return outcome


def _done(
    request: Request,
    names: list[str],
    parts: list[ModelTasks],
    given: Mapping[str, LoadedModel],
    reporter: Reporter,
) -> Generator[Finished]:
    """What comes of all parts, one after the other."""
    models = ModelRuns(request, names, given, reporter)
    for part in parts:
        yield from models.of(part)


def _keep(
    results: Iterator[Finished],
    outcome: Outcome,
    store: Store,
    request: Request,
    reporter: Reporter,
) -> None:
    """Record each result as it comes."""
    for finished in results:
        if finished.run:
            try:
                store.add(finished.run)
                outcome.runs.append(finished.run)
                continue
            except Exception as error:
                problem, hint = reason(error, "eval")
                finished = finished._replace(problem=problem, hint=hint)
        for task in finished.tasks:
            failure = records.Failure(
                finished.model, task, finished.problem, finished.hint, asked=request.plain()
            )
            outcome.failures.append(failure)
        if not outcome.alone:
            reporter.say(
                f"{finished.model} on {', '.join(finished.tasks)} failed: {finished.problem}"
            )


def _applies(card: Card, task: "AbsTask") -> bool:
    """Whether the model can do the task at all; what only ranks,
    or scores pairs, has no vectors to classify.
    """
    return card.kind.gives_vectors or ranks(task)
