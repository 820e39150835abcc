"""A run: plan, encode, view, search, score, record; one failed task never costs the others."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from embedlab import tasks
from embedlab.compat.mteb_internals import reseed
from embedlab.errors import reason
from embedlab.evaluation.protocols.choice import protocol_for
from embedlab.evaluation.request import Request
from embedlab.evaluation.requested import requested_model, requested_tasks
from embedlab.evaluation.run_record import run_record
from embedlab.evaluation.shares import planned, store_of
from embedlab.evaluation.task_run import evaluate_task
from embedlab.evaluation.unused import (
    ranks,
    refuse_for_objects_of_files,
    refuse_unsearched,
    refuse_unused,
)
from embedlab.models import LoadedModel, composition
from embedlab.models.cards import Card
from embedlab.models.composition import ComposedModel
from embedlab.models.settings.prompts import refuse_unused_prompts
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
    previous: LoadedModel | None = None
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
        if array and not todo:
            continue
        with _recorded(outcome, request, name, [task.metadata.name for task in todo], reporter):
            started = time.perf_counter()
            model = given.get(name) or requested_model(request, name)
            if name not in given:
                refuse_for_objects_of_files(request, names, given, model)
            model.take_encoder_of(previous)
            previous = model
            if model.misfit:
                reporter.say(
                    f"{model.name} does not fit its checkpoint, and is evaluated all the same."
                )
            if card.method == "auto" and model.card.notes:
                reporter.say(f"{model.name}: {model.card.notes}")
            loading = time.perf_counter() - started
            _refuse_unused_prompts(model, fitting)
            protocol = protocol_for(request, model, reporter)
            for task in todo:
                with (
                    _recorded(outcome, request, name, [task.metadata.name], reporter),
                    reporter.evaluation(model.name, task.metadata.name),
                ):
                    tasks.load(task)
                    for result in evaluate_task(protocol, task):
                        with _recorded(outcome, request, name, [task.metadata.name], reporter):
                            run = run_record(request, model, task, result, loading)
                            store.add(run)
                            outcome.runs.append(run)
    # A request of which nothing came leaves the store as it was; of a share nobody knows yet.
    if outcome.runs or (array and not outcome.alone):
        for failure in outcome.failures:
            store.add_failure(failure)
    return outcome


def _refuse_unused_prompts(model: LoadedModel, todo: "list[AbsTask]") -> None:
    for part in model.parts.values() if isinstance(model, ComposedModel) else [model]:
        if part.card.chosen and part.card.kind.encodes:
            refuse_unused_prompts(part.card, part.fact("prompts"), [task.metadata for task in todo])


def _applies(card: Card, task: "AbsTask") -> bool:
    """Whether the model can do the task at all; what only ranks,
    or scores pairs, has no vectors to classify.
    """
    return card.kind.gives_vectors or ranks(task)


@contextmanager
def _recorded(
    outcome: Outcome, request: Request, model: str, names: list[str], reporter: Reporter
) -> Iterator[None]:
    """Turn an error into recorded failures of the named tasks, so that the rest goes on."""
    try:
        yield
    except Exception as error:
        problem, hint = reason(error, "eval")
        for name in names:
            failure = records.Failure(model, name, problem, hint, asked=request.plain())
            outcome.failures.append(failure)
        if not outcome.alone:
            reporter.say(f"{model} on {', '.join(names)} failed: {problem}")
