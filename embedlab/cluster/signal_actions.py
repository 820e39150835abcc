"""What this process does at a fault, which other libraries depend on.

Ray takes over the signals of faults (SIGSEGV and others) when it starts and leaves them to the
system when it ends. Java, which Lucene runs on, meets SIGSEGV in good order and goes on: without
its own handler the next one would end the process. Python's `signal` sees no handlers of C code.
"""

import ctypes
import signal
from collections.abc import Iterator
from contextlib import contextmanager

_FAULTS = ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT", "SIGTRAP")
_BYTES = 1_024  # more than a struct sigaction has anywhere


@contextmanager
def kept() -> Iterator[None]:
    """Whatever is done meanwhile, faults are handled as before afterwards."""
    act = ctypes.CDLL(None).sigaction
    before = {number: _action(act, number) for number in _numbers()}
    try:
        yield
    finally:
        for number, action in before.items():
            act(number, action, None)


def _numbers() -> list[int]:
    return [getattr(signal, name) for name in _FAULTS if hasattr(signal, name)]


def _action(act: "ctypes._NamedFuncPointer", number: int) -> "ctypes.Array[ctypes.c_char]":
    action = ctypes.create_string_buffer(_BYTES)
    act(number, None, action)
    return action
