"""Python in a process of its own that has the libraries already: torch, mteb and
sentence-transformers take a process five to ten seconds of computing to import.

A server that has imported them, and nothing of this project, forks. Memory, signals, folder,
environment and what is imported of ours are the process's own. Where a test is about what is
imported, or about other seeds of hashes, it takes `subprocess`.
"""

import atexit
import gc
import os
import runpy
import signal
import sys
import tempfile
from multiprocessing import get_context
from pathlib import Path
from subprocess import CompletedProcess
from types import ModuleType

_CONTEXT = get_context("forkserver")
_CONTEXT.set_forkserver_preload(["torch", "mteb", "sentence_transformers"])


class Process:
    """A running `python *words`, with pipes to its input and from its output.

    Args:
        words: what follows `python`: "-c" and code, "-m" and a module, or a file; and arguments.
        env: its environment; this process's by default.
        cwd: its folder; this process's by default.
    """

    def __init__(self, *words: object, env: dict[str, str] | None = None, cwd: object = None):
        theirs, ours = _CONTEXT.Pipe(duplex=False)
        mine, its = _CONTEXT.Pipe(duplex=False)
        self.stdin = os.fdopen(os.dup(ours.fileno()), "w", encoding="utf-8")
        self.stdout = os.fdopen(os.dup(mine.fileno()), "r", encoding="utf-8")
        descriptor, messages = tempfile.mkstemp()
        os.close(descriptor)
        self._messages = Path(messages)
        place = (dict(os.environ if env is None else env), str(cwd or Path.cwd()))
        self._process = _CONTEXT.Process(
            target=_run, args=([*map(str, words)], *place, theirs, its, messages)
        )
        # It would import what is the main module here, and with it what is ours.
        main, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
        try:
            self._process.start()
        finally:
            sys.modules["__main__"] = main
        for end in (theirs, ours, mine, its):
            end.close()
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """Its exit code, or the negative number of the signal that ended it."""
        return self._process.exitcode

    @property
    def returncode(self) -> int | None:
        return self.poll()

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        assert self.poll() is not None, f"it runs for more than {timeout} s"
        return self.poll()

    def said(self) -> str:
        """What it has written on standard error by now."""
        return self._messages.read_text(encoding="utf-8")

    def communicate(self, text: str = "", timeout: float | None = None) -> tuple[str, str]:
        """Give it the text and wait for its end: standard output, standard error."""
        with self.stdin:
            self.stdin.write(text)
        with self.stdout:
            out = self.stdout.read()
        self.wait(timeout)
        err = self.said()
        self._messages.unlink()
        return out, err


def run(*words: object, text: str = "", **named) -> CompletedProcess:
    """`python *words`, as `Process`, from its beginning to its end."""
    process = Process(*words, **named)
    out, err = process.communicate(text)
    return CompletedProcess(words, process.returncode, out, err)


def _run(words: list[str], environment: dict[str, str], cwd: str, stdin, stdout, messages) -> None:
    """What the process does."""
    gc.freeze()  # what the libraries made: too much to go through in each collection
    with Path(messages).open("w") as file:
        for number, end in enumerate((stdin, stdout, file)):
            os.dup2(end.fileno(), number)
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    first, *sys.argv = words
    sys.path[:0] = [cwd, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    try:
        if first == "-c":
            code, sys.argv[0] = sys.argv[0], "-c"
            exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
        elif first == "-m":
            runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        else:
            sys.argv = words
            sys.path.insert(0, str(Path(first).parent))
            runpy.run_path(first, run_name="__main__")
    finally:
        sys.stdout.flush()
        atexit._run_exitfuncs()
