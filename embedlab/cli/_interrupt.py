"""Ctrl-C: said at once, before workers and bars have come to their end."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from embedlab.terminal import echo

_GOES_ON = (
    "Stopping. What is finished is saved: type the same command again, and it goes on from there."
)


@contextmanager
def interruptible(*, goes_on: bool) -> Iterator[None]:
    """Answer the first Ctrl-C with a line on standard error,
    then let KeyboardInterrupt take its way.

    Args:
        goes_on: whether the command goes on where it was stopped when it is typed again.

    Raises:
        KeyboardInterrupt: after Ctrl-C, whatever the libraries that it reached made of it.
    """
    if threading.current_thread() is not threading.main_thread():
        # Signals reach the main thread alone.
        yield
        return

    stopped = False

    def stop(*_: Any) -> None:
        nonlocal stopped
        stopped = True
        signal.signal(signal.SIGINT, before)  # a second one needs no words
        echo(f"\n{_GOES_ON if goes_on else 'Stopping. Nothing half done is left.'}", err=True)
        raise KeyboardInterrupt

    # Ctrl-C in a finalizer, such as a temporary folder's.
    def unraisable(what: "sys.UnraisableHookArgs") -> None:
        if not (stopped and issubclass(what.exc_type, KeyboardInterrupt)):
            hook(what)

    hook, sys.unraisablehook = sys.unraisablehook, unraisable
    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    except (Exception, SystemExit) as error:
        if stopped:  # DuckDB's is a RuntimeError, for one
            raise KeyboardInterrupt from error
        raise
    finally:
        signal.signal(signal.SIGINT, before)
        sys.unraisablehook = hook
