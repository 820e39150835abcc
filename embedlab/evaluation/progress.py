"""One progress bar for all phases of a run, on standard error: phase, rate, time left."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Reporter:
    """Shows what is happening; silent where standard error is no terminal, but for the lines of `say`."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(), TimeRemainingColumn(), console=self.console, transient=True,
            disable=not self.console.is_terminal,
        )

    def say(self, line: str) -> None:
        """One line that stays."""
        self.console.print(line, soft_wrap=True)

    @contextmanager
    def phase(self, name: str, total: int) -> Iterator["Bar"]:
        """A bar over `total` units of work."""
        task = self._progress.add_task(name, total=total, rate="")
        self._progress.start()
        try:
            yield Bar(self._progress, task)
        finally:
            self._progress.remove_task(task)
            if not self._progress.tasks:
                self._progress.stop()


class Bar:
    """The bar of one phase."""

    def __init__(self, progress: Progress, task) -> None:
        self._progress, self._task = progress, task

    def advance(self, units: int, rate: str = "") -> None:
        """Move on by `units`; `rate` is shown beside the bar."""
        self._progress.update(self._task, advance=units, rate=rate)
