"""One model on its tasks: loaded, evaluated, and what came of it, result by result."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from embedlab import tasks
from embedlab.errors import reason
from embedlab.evaluation.protocols.choice import protocol_for
from embedlab.evaluation.request import Request
from embedlab.evaluation.requested import requested_model
from embedlab.evaluation.run_record import run_record
from embedlab.evaluation.task_run import evaluate_task
from embedlab.evaluation.unused import refuse_for_objects_of_files
from embedlab.models import LoadedModel, composition
from embedlab.models.composition import ComposedModel
from embedlab.models.settings.prompts import refuse_unused_prompts
from embedlab.progress import Reporter
from leaderboard import records

if TYPE_CHECKING:
    from mteb import AbsTask


class ModelTasks(NamedTuple):
    """A part of a plan: a model by the name that was asked for, the tasks that it does, and all
    that fit it.
    """

    model: str
    todo: "Sequence[AbsTask]"
    fitting: "Sequence[AbsTask]"


class Finished(NamedTuple):
    """What came of a model on tasks: a run to be recorded, or what went wrong."""

    model: str
    tasks: list[str]
    run: records.Run | None = None
    problem: str = ""
    hint: str = ""


class ModelRuns:
    """Models on tasks, one after the other.

    Args:
        request: what the user asked for.
        names: all its models.
        given: those of them that are objects.
        reporter: where progress is shown.
        fleet: who encodes for models that are loaded by name (`cluster.fleet.Fleet`); None where
            this process does.
    """

    def __init__(
        self,
        request: Request,
        names: list[str],
        given: Mapping[str, LoadedModel],
        reporter: Reporter,
        fleet: Any = None,
    ) -> None:
        self._request, self._names, self._given = request, names, given
        self._reporter, self._fleet = reporter, fleet
        self._previous: LoadedModel | None = None

    def of(self, part: ModelTasks) -> Iterator[Finished]:
        """What one model gives on its tasks, result by result; a failure never costs the others."""
        name = part.model
        try:
            began = time.perf_counter()
            model = self._model(name)
            loading = time.perf_counter() - began
            _refuse_unused_prompts(model, part.fitting)
            protocol = protocol_for(self._request, model, self._reporter)
        except Exception as error:
            yield failed(name, part.todo, error)
            return
        for task in part.todo:
            try:
                with self._reporter.evaluation(model.name, task.metadata.name):
                    tasks.load(task)
                    for result in evaluate_task(protocol, task):
                        try:
                            run = run_record(self._request, model, task, result, loading)
                        except Exception as error:
                            yield failed(name, [task], error)
                        else:
                            yield Finished(name, [task.metadata.name], run)
            except Exception as error:
                yield failed(name, [task], error)

    def _model(self, name: str) -> LoadedModel:
        given, reporter = self._given, self._reporter
        model = given.get(name) or requested_model(self._request, name)
        if name not in given:
            refuse_for_objects_of_files(self._request, self._names, given, model)
            if self._fleet:
                parts = model.parts if isinstance(model, ComposedModel) else {name: model}
                for part, each in parts.items():
                    each.fleet = self._fleet.of(part)
        model.take_encoder_of(self._previous)
        self._previous = model
        if model.misfit:
            reporter.say(
                f"{model.name} does not fit its checkpoint, and is evaluated all the same."
            )
        card = given[name].card if name in given else composition.find(name)
        if card.method == "auto" and model.card.notes:
            reporter.say(f"{model.name}: {model.card.notes}")
        return model


def failed(model: str, todo: "Sequence[AbsTask]", error: Exception) -> Finished:
    """What went wrong with a model on these tasks."""
    return Finished(model, [task.metadata.name for task in todo], None, *reason(error, "eval"))


def _refuse_unused_prompts(model: LoadedModel, todo: "Sequence[AbsTask]") -> None:
    for part in model.parts.values() if isinstance(model, ComposedModel) else [model]:
        if part.card.chosen and part.card.kind.encodes:
            refuse_unused_prompts(part.card, part.fact("prompts"), [task.metadata for task in todo])
