"""Kill or interrupt a command line at many points, and see what is left:
python killing.py JOB PLACE POINTS SIGNAL

A job (jobs.py) is a command line, what is there before it, and what it makes. A point is a write to
the disk, before which the process gets the signal, or a moment; what Python writes has points of
the first kind, what DuckDB, Lucene and torch write of the second. After each kill (SIGKILL) or
Ctrl-C (SIGINT) what was there before is there, the same command goes through, and what it makes is
what an undisturbed run makes. After Ctrl-C, the exit code is 130, one line says what is kept, and
no file is half made. Every command runs in a fork of this process, which imports everything once
and starts nothing itself. Prints a JSON list of points: what became of it, and what was wrong
afterwards.
"""

import io
import json
import os
import pickle
import re
import shutil
import signal
import sys
import time
import traceback
from contextlib import redirect_stderr, redirect_stdout, suppress
from functools import partial
from importlib import import_module
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
_WRITES = {
    "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "os.truncate", "os.link",
    "os.symlink", "os.utime", "shutil.rmtree", "shutil.copyfile", "shutil.move", "tempfile.mkdtemp",
    "tempfile.mkstemp",
}  # fmt: skip
_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Counter:
    """Counts this process's writes below `place`;
    before the one numbered `last` the process gets a signal.
    """

    def __init__(self, place: Path, last: int | None, number: int):
        self.place, self.last, self.number, self.count = place, last, number, 0
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple) -> None:
        if event == "open":
            path, mode, flags = arguments
            writes = (
                bool(set(mode) & set("wax+"))
                if isinstance(mode, str)
                else bool((flags or 0) & _FLAGS)
            )
        else:
            path, writes = (arguments or ("",))[0], event in _WRITES
        if (
            not writes
            or isinstance(path, int)
            or not Path(os.fsdecode(path)).absolute().is_relative_to(self.place)
        ):
            return
        self.count += 1
        if self.count == self.last:
            os.kill(os.getpid(), self.number)


def forked(work, seconds: float | None = None, number: int = signal.SIGKILL):
    """(what `work` gave in a child process, None) or (None, what it died of);
    after so many seconds, the signal.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        with Path(os.devnull).open("wb") as nothing:
            os.dup2(nothing.fileno(), 1)
        try:
            answer = (work(), None)
        except BaseException:
            answer = (None, traceback.format_exc())
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump(answer, pipe)
        os._exit(0)
    os.close(writing)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, number)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return None, f"signal {os.WTERMSIG(status)}"
    return pickle.loads(answer)


def command(*arguments: object) -> str:
    """What a command line prints; what is not its exit code 0 is an error."""
    code, out, err = called(*arguments)
    if code:
        raise Refused(code, err)
    return out


class Refused(RuntimeError):
    """A command line ended with another code than 0."""

    def __init__(self, code: int, err: str):
        super().__init__(f"exit code {code}: {err[-1500:]}")
        self.code, self.err = code, err


def called(*arguments: object) -> tuple[int, str, str]:
    """Run a command line in this process: its exit code, and what it prints."""
    from embedlab import cli

    cli.app.registered_commands.clear()
    cli.app.registered_groups.clear()
    sys.argv = ["embedlab", *map(str, arguments)]
    out, err = io.StringIO(), io.StringIO()
    code = 0
    try:
        with redirect_stdout(out), redirect_stderr(err):
            cli.run()
    except SystemExit as stop:
        code = int(stop.code or 0)
    return code, out.getvalue(), err.getvalue()


class Place:
    """Where one job is done again and again:
    always at the same path, since what a run records may name it.
    """

    def __init__(self, folder: Path):
        self.prepared, self.work = folder / "prepared", folder / "work"

    def anew(self) -> None:
        """Put there what is there before the job."""
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(self.prepared, self.work, symlinks=True, dirs_exist_ok=True)

    def at_work(self, task, last: int | None = None, number: int = signal.SIGKILL):
        """The task with its count of writes and its seconds,
        the signal before the `last` of the writes.
        """

        def run():
            os.environ["EMBEDLAB_HOME"] = str(self.work / "home")
            os.chdir(self.work)
            counted, began = Counter(self.work, last, number), time.perf_counter()
            return task(self.work), counted.count, time.perf_counter() - began

        return run

    def fine(self, task):
        """What the task gives, its count of writes and its seconds.

        Raises:
            RuntimeError: it did not go through.
        """
        answer, died = forked(self.at_work(task))
        if died:
            raise RuntimeError(died)
        return answer


def points_of(writes: int, seconds: float, points: int, native: bool) -> list[tuple[str, float]]:
    """Where to kill: at writes, spread evenly over all;
    where there are too few or they are not all, at moments.
    """
    by_write = min(writes, (points + 1) // 2 if native else points)
    chosen = sorted(
        {1 + number * (writes - 1) // max(by_write - 1, 1) for number in range(by_write)}
    )
    left = points - len(chosen)
    return [
        *(("write", at) for at in chosen),
        *(("moment", seconds * (n + 0.5) / left) for n in range(left)),
    ]


def interrupted(job, work: Path) -> tuple[int, str]:
    """Run the job, which Ctrl-C stops: its exit code,
    and what is wrong with its end, if anything.
    """
    try:
        job.run(work)
    except Refused as refused:
        code, err = refused.code, refused.err
        fine = (
            code == 130
            and err.count("Stopping. ") == 1
            and not re.search("Traceback|Error|Exception", err)
        )
        return code, "" if fine else f"exit code {code}: {err}"
    return 0, ""  # it was done before


class Undisturbed:
    """A job that was done once: what was there before, what it made, its writes and seconds."""

    def __init__(self, name: str, folder: Path):
        from jobs import jobs

        self.job = job = jobs(os.environ["KILLS_MODEL"], os.environ["KILLS_BASE"])[name]
        self.place = place = Place(folder)
        for module in ("embedlab.cli", *job.imports):
            __import__(module)
        place.work.mkdir(parents=True)
        place.fine(job.before)
        shutil.copytree(place.work, place.prepared, symlinks=True)
        self.there = place.fine(job.kept)[0]
        _import(place.fine(partial(_imported, job))[0])
        place.anew()
        _, self.writes, self.seconds = place.fine(job.run)
        self.final, self.made = place.fine(job.final)[0], place.fine(job.made)[0]

    def wrong_afterwards(self) -> str:
        """What the job, stopped at this place, has lost, left half made,
        or makes other than it did undisturbed.
        """
        job, fine = self.job, self.place.fine
        try:
            left = fine(job.kept)[0]
            if left != self.there and not (job.replaces and left == job.replaced(self.made)):
                return f"what was there before is not: {left} instead of {self.there}"
            if half := {
                name: it for name, it in fine(job.final)[0].items() if self.final.get(name) != it
            }:
                return f"half made: {half}"
            if not (job.once and fine(job.made)[0] == self.made):
                fine(job.run)
            again = fine(job.made)[0]
        except RuntimeError as error:
            return str(error)
        return f"made {again} instead of {self.made}" if again != self.made else ""


def _imported(job, work: Path) -> list[str]:
    """What the job imports, and what looks at what it has made."""
    job.run(work)
    job.made(work)
    return list(sys.modules)


def _import(names: list[str]) -> None:
    """Import it here, once for all forks: it takes each longer than its work, and the moments of
    kills would fall into it.
    """
    for name in names:
        with suppress(Exception):  # some modules have a name under which nobody can import them
            import_module(name)


def main(name: str, folder: Path, points: int, number: int) -> None:
    undisturbed = Undisturbed(name, folder)
    job, place = undisturbed.job, undisturbed.place
    found = []
    for kind, point in points_of(undisturbed.writes, undisturbed.seconds, points, job.native):
        place.anew()
        task = job.run if number == signal.SIGKILL else partial(interrupted, job)
        run = place.at_work(task, point if kind == "write" else None, number)
        answer, died = forked(run, point if kind == "moment" else None, number)
        wrong = died if died and died != "signal 9" else ""
        if number == signal.SIGINT and answer:
            died, wrong = answer[0]
        of = undisturbed.writes if kind == "write" else undisturbed.seconds
        told = {"kind": kind, "point": point, "of": of, "stopped": died}
        found.append({**told, "wrong": (wrong or undisturbed.wrong_afterwards())[-2500:]})
    print(json.dumps(found))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    sys.path.insert(0, str(Path(__file__).parents[2]))
    import killing  # the module that jobs.py imports, and not this one a second time

    killing.main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), signal.Signals[sys.argv[4]])
