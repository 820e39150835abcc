"""Progress of evaluations in other processes, on the screen of the command."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from embedlab.progress import Bar, Reporter

_PAUSE = 0.2  # seconds between two moves of a bar


class Relay(Reporter):
    """Tells what it is told to somebody else.

    Args:
        tell: takes an event: what, of which bar, and how much.
    """

    def __init__(self, tell: Callable[..., None]) -> None:
        super().__init__(quiet=True)
        self._tell, self._bars_so_far = tell, 0

    def say(self, line: str) -> None:
        self._tell("say", line)

    @contextmanager
    def evaluation(self, model: str, task: str) -> Iterator[None]:
        self._tell("evaluation", model, task)
        try:
            yield
        finally:
            self._tell("end")

    @contextmanager
    def phase(self, name: str, total: int, unit: str = "") -> Iterator[Bar]:
        self._bars_so_far += 1
        bar = _Bar(self, self._bars_so_far, unit, self._tell)
        self._tell("phase", bar.number, name, total, unit)
        try:
            yield bar
        finally:
            bar.move()
            self._tell("done", bar.number)


class _Bar(Bar):
    def __init__(
        self, reporter: Reporter, number: int, unit: str, tell: Callable[..., None]
    ) -> None:
        self.number, self._tell = number, tell
        self._moved, self._by, self._worked = time.monotonic(), 0.0, 0

    def advance(self, done: float, worked: int = 0) -> None:
        self._by, self._worked = self._by + done, self._worked + worked
        if time.monotonic() - self._moved > _PAUSE:
            self.move()

    def move(self) -> None:
        """Tell how far it has come."""
        self._tell("advance", self.number, self._by, self._worked)
        self._moved, self._by, self._worked = time.monotonic(), 0.0, 0


class Screen:
    """Shows what relays tell, each one's bars under its own evaluation."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._of: dict[int, _Shown] = {}

    def show(self, who: int, what: str, *how: Any) -> None:
        """An event of the relay `who`."""
        if what == "say":
            self._reporter.say(*how)
            return
        if who not in self._of:
            self._of[who] = _Shown(self._reporter.beside())
        getattr(self._of[who], what)(*how)

    def clear(self) -> None:
        """Take down whatever is still up."""
        for shown in self._of.values():
            shown.end()


class _Shown:
    def __init__(self, reporter: Reporter) -> None:
        self._reporter, self._stack = reporter, ExitStack()
        self._bars: dict[int, tuple[ExitStack, Bar]] = {}

    def evaluation(self, model: str, task: str) -> None:
        self.end()
        self._stack.enter_context(self._reporter.evaluation(model, task))

    def end(self) -> None:
        for number in list(self._bars):
            self.done(number)
        self._stack.close()

    def phase(self, number: int, name: str, total: int, unit: str) -> None:
        stack = ExitStack()
        self._bars[number] = stack, stack.enter_context(self._reporter.phase(name, total, unit))

    def advance(self, number: int, done: float, worked: int) -> None:
        if number in self._bars:
            self._bars[number][1].advance(done, worked)

    def done(self, number: int) -> None:
        if number in self._bars:
            self._bars.pop(number)[0].close()
