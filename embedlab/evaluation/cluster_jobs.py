"""A plan on a cluster: several evaluations at once, each with its part of the workers."""

from collections.abc import Generator, Mapping
from functools import partial
from typing import TYPE_CHECKING

from embedlab.cluster.engine import Board, Engine, opened
from embedlab.cluster.fleet import Fleet
from embedlab.cluster.pool import Call
from embedlab.cluster.relay import Relay, Screen
from embedlab.cluster_address import ClusterAddress
from embedlab.compat.mteb_internals import reseed
from embedlab.errors import UserError
from embedlab.evaluation.model_run import Finished, ModelRuns, ModelTasks, failed
from embedlab.evaluation.request import Request
from embedlab.evaluation.requested import requested_tasks
from embedlab.hardware import choose_device
from embedlab.models import LoadedModel
from embedlab.progress import Reporter

if TYPE_CHECKING:
    from mteb import AbsTask


def done(
    request: Request,
    names: list[str],
    plan: list[ModelTasks],
    given: Mapping[str, LoadedModel],
    reporter: Reporter,
) -> Generator[Finished]:
    """What comes of a plan, in the order in which it is finished.

    An evaluation is one model on one task. As many run at once as there are evaluations and workers
    for them; each has a process that coordinates, on the machine of the command, and its part of
    the workers. A command outside of the cluster (ray://), or with a budget, does one after the
    other.

    Raises:
        UserError: a model is an object, or the cluster cannot be used.
    """
    if given:
        raise UserError(
            f"{next(iter(given))} is an object, which cannot travel to a cluster.",
            "Give the model by name, folder or path/to/file.py:Class; or leave cluster out.",
        )
    assert request.share.cluster
    device = choose_device(request.loading.device)
    on_gpus = device.startswith("cuda")
    address = ClusterAddress.read(request.share.cluster)
    with opened(address, on_gpus=on_gpus, say=reporter.say) as engine:
        pairs = [part._replace(todo=[task]) for part in plan for task in part.todo]
        alone = not engine.here or request.server.budget is not None  # one purse pays for all
        at_once = 1 if alone else min(len(pairs), engine.workers)
        if at_once > 1:
            yield from _several(request, names, pairs, engine, at_once, reporter)
        else:
            fleet = _fleet(request, engine, reporter)
            models = ModelRuns(request, names, {}, reporter, fleet)
            try:
                for part in plan:
                    yield from models.of(part)
            finally:
                fleet.stop()


def _several(
    request: Request,
    names: list[str],
    pairs: list[ModelTasks],
    engine: Engine,
    at_once: int,
    reporter: Reporter,
) -> Generator[Finished]:
    board, screen = Board(engine), Screen(reporter)
    make = partial(Job, request, names, engine.of(engine.workers // at_once), board)
    pool = engine.beside(make, at_once, reporter.say)
    # Objects of tasks stay here: a job finds its own by their places in the request.
    place = {_known_by(task): number for number, task in enumerate(requested_tasks(request))}

    def call(number: int, pair: ModelTasks) -> Call:
        todo, fitting = (
            [place[_known_by(task)] for task in tasks] for tasks in (pair.todo, pair.fitting)
        )
        return Call("run", (number, pair.model, todo, fitting))

    def tick() -> None:
        for event in board.taken():
            screen.show(*event)

    try:
        calls = (call(number, pair) for number, pair in enumerate(pairs))
        for answer in pool.run(calls, tick=tick, in_order=False):
            tick()
            if answer.error:
                pair = pairs[answer.number]
                yield failed(pair.model, pair.todo, answer.error)
            else:
                yield from answer.value
    finally:
        screen.clear()
        pool.stop()
        board.stop()


class Job:
    """A process that does one evaluation after the other, and gives back what is to be recorded."""

    def __init__(self, request: Request, names: list[str], engine: Engine, board: Board) -> None:
        self._board, self._number = board, 0
        reporter = Relay(self._tell)
        self._fleet = _fleet(request, engine, reporter)
        self._models = ModelRuns(request, names, {}, reporter, self._fleet)
        self._tasks = requested_tasks(request)
        if request.task.seed is not None:
            for task in self._tasks:
                reseed(task, request.task.seed)

    def run(self, number: int, model: str, todo: list[int], fitting: list[int]) -> list[Finished]:
        """What comes of a model on the tasks at these places in the request."""
        self._number = number
        ours, all_of_them = ([self._tasks[at] for at in places] for places in (todo, fitting))
        return list(self._models.of(ModelTasks(model, ours, all_of_them)))

    def _tell(self, what: str, *how: object) -> None:
        self._board.add(self._number, what, *how)


def _fleet(request: Request, engine: Engine, reporter: Reporter) -> Fleet:
    fleet = Fleet(engine, request.loading, request.views.force, reporter)
    fleet.start()  # while this process reads the task
    return fleet


def _known_by(task: "AbsTask") -> tuple[str, ...]:
    """What tells a task of a request from the others: its name, and the user's folders."""
    return (task.metadata.name, *map(str, getattr(task, "sources", ())))
