"""What may crash or hang in native code, or eat the memory: each call in a process of its own.

A fork of the test's process would inherit the locks of its threads, but none of the threads. So a
process that has imported everything and started nothing (`python children.py`) forks for each call.
"""

import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

SECONDS = 60
# So many bytes more than it has: what asks for more is refused, and others keep theirs.
_MEMORY = 3 << 30


def apart(work: Callable, *arguments):
    """What a function of this module gives in a child process;
    its crash, hang or exception is an AssertionError.
    """
    server = _server()
    pickle.dump((work.__name__, arguments), server.stdin)
    server.stdin.flush()
    status, fine, value = pickle.load(server.stdout)
    assert not os.WIFSIGNALED(status), f"ended by {signal.Signals(os.WTERMSIG(status)).name}"
    assert fine, value
    return value


@cache
def _server() -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def _serve() -> None:
    """Do each call that comes in a fork, until there are no more."""
    import faiss  # noqa: F401

    import leaderboard
    import retrievers.folder  # noqa: F401
    from embedlab import cli

    cli._register()
    import_module("pandas")  # what pyarrow and DuckDB import where they need it
    for module in walk_packages(leaderboard.__path__, "leaderboard."):
        import_module(module.name)
    asked, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # native code prints what it likes
    while True:
        try:
            name, arguments = pickle.load(asked)
        except EOFError:
            return
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(reading)
            _answer(writing, globals()[name], arguments)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            answer = pipe.read()
        _, status = os.waitpid(child, 0)
        pickle.dump((status, *(pickle.loads(answer) if answer else (False, ""))), answers)
        answers.flush()


def _answer(pipe: int, work: Callable, arguments: tuple) -> None:
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + _MEMORY, size + _MEMORY))
    signal.alarm(SECONDS)
    try:
        answer = (True, work(*arguments))
    except BaseException:
        answer = (False, traceback.format_exc())
    with os.fdopen(pipe, "wb") as file:
        pickle.dump(answer, file)
    os._exit(0)


def search(path: Path, queries, depth: int = 5):
    """What the index at `path` answers; the error's words where it is refused."""
    import retrievers

    try:
        hits = retrievers.load(path).search(queries, depth)
    except retrievers.RetrieverError as error:
        assert error.hint
        return str(error)
    except MemoryError:  # of a size that a file made on purpose names
        return "too large"
    return hits.rows.tolist(), hits.scores.tolist()


def told(folder: Path, command: tuple[str, ...]) -> tuple[int, str, str]:
    """What a command says of the store in `folder`, with what it wrote:
    exit code, output, messages.
    """
    from command_line import call

    shutil.rmtree(folder / "out", ignore_errors=True)
    places = {
        "OUT": folder / "out",
        "DB": folder / "results.duckdb",
        "NEW": folder / "out/new.duckdb",
    }
    db = () if command[0] == "merge" else ("--db", folder / "results.duckdb")
    code, out, err = call(*(places.get(word, word) for word in command), *db)
    if command[0] == "merge" and code == 0:
        out += call(
            "export",
            folder / "out/trec",
            "--format",
            "trec",
            "--db",
            folder / "out/new.duckdb",
            "--json",
        ).out
    written = sorted(file for file in (folder / "out").rglob("*.txt") if file.is_file())
    return code, out.replace(str(folder), "") + "".join(file.read_text() for file in written), err


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    _serve()
