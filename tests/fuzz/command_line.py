"""The front door under hostile input:
a command line ends with 0 or 2 and a message, in time, or it is a fault.
"""

import io
import json
import os
import signal
import sys
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import NamedTuple

from embedlab import cli

SECONDS = 120  # none of these commands takes more than a few; beyond this it hangs


class Outcome(NamedTuple):
    """How a command line ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict:
        return json.loads(self.out, parse_constant=_no_json)


def _no_json(word: str):
    raise AssertionError(f"{word} is no JSON")


def run(*arguments: object) -> Outcome:
    """Run a command line in this process; a traceback, an exit code of 1,
    or no end in time is an AssertionError.
    """
    outcome = call(*arguments)
    check(arguments, outcome)
    return outcome


def check(arguments: tuple, outcome: Outcome) -> None:
    typed = [str(argument)[:200] for argument in arguments]
    said = f"{typed}\n{outcome.err[-3000:]}\n{outcome.out[-300:]}"
    assert outcome.code in (0, 2), f"exit code {outcome.code}: {said}"
    assert "Traceback (most recent" not in outcome.err, said
    assert "fault of the program" not in outcome.err and "--debug" not in outcome.err, said
    if outcome.code == 2:
        assert outcome.err.strip(), f"no message: {said}"


def call(*arguments: object) -> Outcome:
    """Run a command line in this process, whatever comes of it."""
    cli.app.registered_commands.clear()
    cli.app.registered_groups.clear()
    out, err, code = _Text(), _Text(), 0
    before, sys.argv = sys.argv, ["embedlab", *map(str, arguments)]
    try:
        with redirect_stdout(out), redirect_stderr(err), in_time():
            cli.run()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(bool(stop.code))
    finally:
        sys.argv = before
        os.environ.pop("EMBEDLAB_DEBUG", None)
    return Outcome(code, out.getvalue(), err.getvalue())


class _Text(io.StringIO):
    """A standard stream in UTF-8, which refuses what UTF-8 cannot hold."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        text.encode()
        return super().write(text)


@contextmanager
def in_time(seconds: float = SECONDS):
    """Stop what hangs."""

    def late(*_):
        raise AssertionError(f"still running after {seconds:g} seconds")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
