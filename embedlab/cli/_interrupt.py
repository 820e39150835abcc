"""Ctrl-C: said at once, before workers and bars have come to their end."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from embedlab.terminal import echo

_GOES_ON = "Stopping. What is finished is kept: type the same command again, and it goes on from there."


@contextmanager
def interruptible(*, goes_on: bool) -> Iterator[None]:
    """Answer the first Ctrl-C with a line on standard error, then let KeyboardInterrupt take its way.

    Args:
        goes_on: whether the command goes on where it was stopped when it is typed again.
    """
    if threading.current_thread() is not threading.main_thread():  # signals reach the main thread alone
        yield
        return

    def stop(*_) -> None:
        signal.signal(signal.SIGINT, before)  # a second one needs no words
        echo(f"\n{_GOES_ON if goes_on else 'Stopping. Nothing half done is left.'}", err=True)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
