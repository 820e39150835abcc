"""The bar of a training stage on standard error: step, loss, time left."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from embedlab import terminal

Show = Callable[[int, float | None], None]  # (steps done, last loss)
_SECONDS = 60  # between lines, where standard error is no terminal


@contextmanager
def bar(name: str, steps: int) -> Iterator[Show]:
    """A bar over `steps`; where standard error is no terminal, a line a minute."""
    console = terminal.console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("step {task.completed:.0f} of {task.total:.0f}"),
        TextColumn("{task.fields[loss]}", markup=False),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task(name, total=steps, loss="")
        said = time.monotonic()

        def show(step: int, loss: float | None) -> None:
            nonlocal said
            shown = "" if loss is None else f"loss {loss:.3f}"
            progress.update(task, completed=step, loss=shown)
            if not console.is_terminal and time.monotonic() - said > _SECONDS:
                said = time.monotonic()
                console.print(f"{name}: step {step} of {steps} {shown}", soft_wrap=True)

        yield show
