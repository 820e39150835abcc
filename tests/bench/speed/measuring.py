"""Alternating measurements: what one took in wall and processor time,
and ratios with their spread.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import NamedTuple

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
DATA = ROOT / "../shared/data"
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


class Taken(NamedTuple):
    """One measurement; `busy` is the share of all cores,
    `peak` the greatest resident memory in bytes.
    """

    seconds: float
    busy: float
    peak: float
    facts: dict


class Child:
    """A process that holds one system, loaded, and measures what it is told to do (child.py)."""

    def __init__(self, system: str):
        self.system = system
        self._process = subprocess.Popen(
            [sys.executable, HERE / "child.py", system],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TOKENIZERS_PARALLELISM": "true"},
        )
        self._answer()

    def __call__(self, **command) -> Taken:
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return Taken(**self._answer())

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(timeout=60)

    def _answer(self) -> dict:
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.system} ended early")
        return json.loads(line)


def of_process(command: list, **environment: str) -> tuple[Taken, str]:
    """A whole process, from its start to its end, and its standard output."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as problems:
        began = time.perf_counter()
        process = subprocess.Popen(
            [str(part) for part in command],
            stdout=out,
            stderr=problems,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        )
        ended = peak = 0
        while not ended:
            peak = max(peak, peak_memory(process.pid))
            time.sleep(0.02)
            ended, status, used = os.wait4(process.pid, os.WNOHANG)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        for file in (out, problems):
            file.seek(0)
        if process.returncode:
            raise RuntimeError(
                f"{command[:4]} failed:\n{problems.read().decode(errors='replace')[-1500:]}"
            )
        busy = (used.ru_utime + used.ru_stime) / seconds / CORES
        return Taken(seconds, busy, peak, {}), out.read().decode()


def peak_memory(pid: int | str = "self") -> int:
    """The greatest resident memory of a process by now, in bytes. 0 where the system does not tell.

    `ru_maxrss` would count the process that started it, too.
    """
    status = Path(f"/proc/{pid}/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def alternate(systems: Mapping[str, Callable[[], Taken]], repeats: int) -> dict[str, list[Taken]]:
    """Every system in turn, `repeats` times over,
    so that a slow minute of the machine befalls all.
    """
    taken: dict[str, list[Taken]] = {name: [] for name in systems}
    for _ in range(repeats):
        for name, measure in systems.items():
            taken[name].append(measure())
            print(f"  {name}: {taken[name][-1].seconds:.2f} s", file=sys.stderr, flush=True)
    return taken


def best(taken: list[Taken]) -> Taken:
    return min(taken, key=lambda one: one.seconds)


def ratio(slower: list[Taken], faster: list[Taken]) -> str:
    """How many times faster, as the median over the rounds and its range."""
    each = [slow.seconds / fast.seconds for slow, fast in zip(slower, faster, strict=False)]
    return f"{median(each):.2f} ({min(each):.2f} to {max(each):.2f})"


def table(title: str, columns: list[str], rows: list[list]) -> str:
    """A Markdown table under a bold title."""
    lines = [f"\n**{title}**\n", "| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join([*lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows)])
