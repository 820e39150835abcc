"""What a run tells while it runs: a bar on standard error
(phase, rate, time left), a live file for the dashboard.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from pathlib import Path

from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from embedlab.terminal import console, printable
from leaderboard.storage import live


class Reporter:
    """Shows what is happening; where standard error is no terminal, only the lines of `say` appear.

    Args:
        db: the results store beside which the live file lies; None writes none.
        quiet: show nothing.
    """

    def __init__(self, db: Path | None = None, *, quiet: bool = False) -> None:
        self.console = console(stderr=True)
        self.console.quiet = quiet
        self._db, self._state = db, live.Progress("", "", "")
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[rate]}", markup=False),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            disable=quiet or not self.console.is_terminal,
        )

    def beside(self) -> "Reporter":
        """Another one on the same screen, for an evaluation at the same time."""
        other = copy(self)
        other._state = live.Progress("", "", "")
        return other

    def say(self, line: str) -> None:
        """One line that stays."""
        self.console.print(line, soft_wrap=True)

    @contextmanager
    def evaluation(self, model: str, task: str) -> Iterator[None]:
        """Everything inside belongs to this model on this task."""
        self._state = live.Progress(model, task, "load")
        self._publish()
        try:
            yield
        finally:
            if self._db:
                live.clear(self._db, self._state)

    @contextmanager
    def phase(self, name: str, total: int, unit: str = "") -> Iterator["Bar"]:
        """A bar over `total` units of work;
        the rate is shown in `unit` per second, where one is named.
        """
        bar = self._bars.add_task(printable(f"{self._state.model}: {name}"), total=total, rate="")
        self._state = replace(self._state, phase=name, done=0, total=total, rate=0.0)
        self._bars.start()
        try:
            yield Bar(self, bar, unit)
        finally:
            self._bars.remove_task(bar)
            if not self._bars.tasks:
                self._bars.stop()

    def _publish(self) -> None:
        if self._db:
            live.publish(self._db, self._state)


class Bar:
    """The bar of one phase."""

    def __init__(self, reporter: Reporter, bar: TaskID, unit: str) -> None:
        self._reporter, self._bar, self._unit = reporter, bar, unit
        self._began, self._done, self._worked = time.perf_counter(), 0.0, 0
        self._published = 0.0

    def advance(self, done: float, worked: int = 0) -> None:
        """Move on by `done` of the phase's total, having worked off `worked` of the named unit."""
        self._done, self._worked = self._done + done, self._worked + worked
        now = time.perf_counter()
        seconds = max(now - self._began, 1e-9)
        rate = f"{self._worked / seconds:,.0f} {self._unit}/s" if self._unit else ""
        self._reporter._bars.update(self._bar, advance=done, rate=rate)
        if now - self._published > 1:  # the dashboard looks about once a second
            self._published = now
            self._reporter._state = replace(
                self._reporter._state, done=int(self._done), rate=self._done / seconds
            )
            self._reporter._publish()
