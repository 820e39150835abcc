"""Processes on a cluster that do calls side by side: Ray places them, and each does the next call.

What a process had in hand when it was lost, with its node or alone, is done by another; Ray puts a
new process where there is room.
"""

import errno
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from embedlab.cluster.nodes import every, named
from embedlab.cluster.process import Place, Process
from embedlab.errors import UserError, explained

_TRIES = 4  # of a call whose process is lost each time
_TICK = 0.2  # seconds
_FOR_THE_OTHERS = 10.0  # seconds that the first processes wait for the last
_PATIENCE = 60.0  # seconds without a process that works


class Call(NamedTuple):
    """A method of the object in a process, and what it gets."""

    method: str
    arguments: tuple[Any, ...]


class Answer(NamedTuple):
    """What a call gave, or raised, and where; `number` counts the calls."""

    number: int
    value: Any
    error: Exception | None
    node: str


class _Actor(Process):
    def answer(self, method: str, *arguments: Any) -> tuple[str, Any, Exception | None]:
        """The node, and what came of the call."""
        import ray

        return ray.get_runtime_context().get_node_id(), *self.call(method, *arguments)


@dataclass(eq=False)
class _Task:
    number: int  # below 0: what comes before any other
    call: Call
    tries: int = 0  # that ended with the process


@dataclass(eq=False)
class _Worker:
    actor: Any
    ready: bool = False
    given: dict[Any, _Task] = field(default_factory=dict)  # by the promise of an answer
    node: str = "a node that did not answer yet"


class Pool:
    """Processes on a cluster.

    Args:
        options: what each takes of a node, in Ray's words.
        place: what each takes over from the command.
        make: gives the object in each.
        number: how many, where there is room for all.
        say: takes a line for the user.
        at_once: calls that a process has in hand.
    """

    def __init__(
        self,
        options: Mapping[str, Any],
        place: Place,
        make: Callable[[], Any],
        number: int,
        say: Callable[[str], None],
        *,
        at_once: int,
    ) -> None:
        self._options, self._place, self._make = options, place, make
        self._say, self._at_once, self._lost = say, at_once, 0
        self._said, self._since = set[str](), time.monotonic()
        self._names: dict[str, str] = {}  # of nodes, by Ray's ids
        self._first = Call("", ())  # of every process, before any other
        self._workers = [self._started() for _ in range(number)]
        for worker in self._workers:
            self._prepare(worker)

    def __len__(self) -> int:
        return len(self._workers)

    def prepare(self, first: Call) -> None:
        """Have every process do this before any other call; return when most have.

        Raises:
            UserError: none can.
        """
        self._first = first
        for worker in self._workers:
            worker.given.clear()  # of a run that was left early
            self._prepare(worker)
        patience = None
        while not all(worker.ready for worker in self._workers):
            list(self._collect([]))
            if any(worker.ready for worker in self._workers):
                patience = patience or time.monotonic() + _FOR_THE_OTHERS
                if patience < time.monotonic():
                    return

    def run(
        self,
        calls: Iterable[Call],
        *,
        done: Callable[[Answer], None] = lambda answer: None,
        tick: Callable[[], None] = lambda: None,
        in_order: bool = True,
    ) -> Iterator[Answer]:
        """The answers to all calls; a bounded number is begun before the first is taken.

        Args:
            done: told of each answer when it is there, in whatever order.
            tick: called about five times a second.
            in_order: the answers come in the order of the calls; else as they are there.

        Raises:
            UserError: no process is left that can do the work.
        """
        coming, again = enumerate(calls), list[_Task]()
        answers: dict[int, Answer] = {}
        taken, begun, more = 0, 0, True
        while more or taken < begun:
            while worker := self._free(begun - taken if not again else 0, bool(again)):
                if again:
                    task = again.pop(0)
                elif item := next(coming, None):
                    task, begun = _Task(*item), begun + 1
                else:
                    more = False
                    break
                self._give(worker, task)
            for answer in self._collect(again):
                answers[answer.number] = answer
                done(answer)
            tick()
            while answers and (taken in answers or not in_order):
                taken += 1
                yield answers.pop(taken - 1 if in_order else next(iter(answers)))

    def _collect(self, again: "list[_Task]") -> Iterator[Answer]:
        """The answers that are there, after a wait; what was lost with its process is to be done
        again.
        """
        import ray

        holder = {ref: worker for worker in self._workers for ref in worker.given}
        ready, _ = ray.wait(list(holder), timeout=_TICK) if holder else ([], [])
        for ref in ready:
            worker = holder[ref]
            task = worker.given.pop(ref)
            answer = self._answer(task, worker, ref)
            if answer and not _is_of_the_node(answer):
                self._lost = 0
                worker.ready, worker.node = True, answer.node
                if task.number >= 0:
                    yield answer
                continue
            unfinished = [each for each in (task, *worker.given.values()) if each.number >= 0]
            if answer:
                self._give_up(worker, answer)
            else:
                for each in unfinished:
                    each.tries += 1
                yield from (_lost(each, worker) for each in unfinished if each.tries == _TRIES)
                self._replace(worker)
            again.extend(each for each in unfinished if each.tries < _TRIES)
        self._heed_waiting()

    def tell(self, call: Call) -> None:
        """Have every process do this, whatever comes of it."""
        for worker in self._workers:
            worker.actor.answer.remote(call.method, *call.arguments)

    def share(self, value: Any) -> Any:
        """What stands for a value in the arguments of many calls, and is sent once to each node."""
        import ray

        return ray.put(value)

    def stop(self) -> None:
        """End all processes, whatever they are at."""
        import ray

        for worker in self._workers:
            ray.kill(worker.actor)
        self._workers = []

    def _started(self) -> _Worker:
        import ray

        actor = ray.remote(_Actor).options(**self._options).remote(self._place, self._make)
        return _Worker(actor)

    def _prepare(self, worker: _Worker) -> None:
        worker.ready = False
        self._give(worker, _Task(-1, self._first))

    def _give(self, worker: _Worker, task: _Task) -> None:
        ref = worker.actor.answer.remote(task.call.method, *task.call.arguments)
        worker.given[ref] = task

    def _free(self, ahead: int, suspect: bool) -> _Worker | None:
        """A process that can take a call, while there are not too many whose turn is to come.

        A call at which a process was lost is `suspect`, and gets one for itself: so no other is
        lost with it time and again.
        """
        able = [
            each
            for each in self._workers
            if each.ready
            and len(each.given) < (1 if suspect else self._at_once)
            and not any(task.tries for task in each.given.values())
        ]
        if not able or ahead >= 2 * self._at_once * len(self._workers):
            return None
        return min(able, key=lambda each: len(each.given))

    def _answer(self, task: _Task, worker: _Worker, ref: Any) -> Answer | None:
        """What came of a call; None where the process was lost."""
        import ray
        from ray.exceptions import OutOfDiskError, RayError, RayTaskError

        try:
            node, value, error = ray.get(ref)
        except RayTaskError as failure:  # not of the work: the node has not what it takes
            return Answer(task.number, None, failure, worker.node)
        except OutOfDiskError:
            full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "Ray's folder")
            return Answer(task.number, None, full, worker.node)
        except RayError:
            return None
        return Answer(task.number, value, error, self._named(node))

    def _heed_waiting(self) -> None:
        """Say so, once, where a cluster has no room."""
        if any(worker.ready for worker in self._workers):
            self._since = time.monotonic()
        elif self._since + _PATIENCE < time.monotonic():
            self._say_once("No worker has started yet: the cluster has no room, or is starting.")

    def _say_once(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self._say(line)

    def _named(self, node: str) -> str:
        """How people know the node of this id; Ray is asked about new ones alone."""
        if node not in self._names:
            self._names |= {each["NodeID"]: named(each) for each in every()}
        return self._names.get(node, node)

    def _replace(self, worker: _Worker) -> None:
        """Another process in the place of one that was lost; Ray chooses its node.

        Raises:
            UserError: processes are lost as fast as they are started.
        """
        import ray

        self._lost += 1
        if self._lost > _TRIES * max(1, len(self._workers)):
            raise UserError(
                f"Workers of the cluster end before they have done anything, the last of them on"
                f" {worker.node}.",
                "Is embedlab installed there, with enough memory for the model? The files under"
                " /tmp/ray/session_latest/logs of the node say more.",
            )
        ray.kill(worker.actor)
        self._workers.remove(worker)
        self._workers.append(self._started())
        self._prepare(self._workers[-1])

    def _give_up(self, worker: _Worker, answer: Answer) -> None:
        """Go on without a process whose node cannot do the work.

        Raises:
            UserError: it was the last one.
        """
        import ray

        assert answer.error is not None
        problem, hint = explained(answer.error) or (str(answer.error), "")
        ray.kill(worker.actor)
        self._workers.remove(worker)
        if not self._workers:
            raise UserError(f"On the node {answer.node}: {problem}", hint)
        self._say_once(f"The node {answer.node} gets no more work: {problem}")


def _lost(task: _Task, worker: _Worker) -> Answer:
    error = UserError(
        f"{_TRIES} workers of the cluster were lost at the same work, the last of them on the node"
        f" {worker.node}.",
        "Its memory may not suffice: try a smaller --batch-tokens, or fewer workers there.",
    )
    return Answer(task.number, None, error, worker.node)


def _is_of_the_node(answer: Answer) -> bool:
    """Whether others may do what failed here: no model or disk there, not the same software."""
    return answer.error is not None and (answer.number < 0 or isinstance(answer.error, OSError))
