"""embedlab on a GPU: `make bench-gpu`, or `python -m tests.bench.gpu [--tiny]`.

Every section has a time limit of its own and works in another process: one that fails, hangs or
dies costs itself alone. Figures are printed and written to OUT/SECTION.json as they are measured,
so a run that is cut off keeps them. No network is needed.
"""

import argparse
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.gpu import worker
from tests.bench.gpu.figures import read, table

# Seconds that each section may take, its share of starting up included; cheap ones come first.
# On an H100 those up to `encode` took 138 together.
LIMITS = {
    "machine": 25, "search": 25, "accuracy": 15, "unpadded": 35, "train": 45, "encode": 80,
    "copies": 60, "tests": 70, "compiled-0.6B": 35, "compiled-MiniLM": 30, "compiled-7B": 60,
    "scifact": 300,
}  # fmt: skip
ALL = 480  # without scifact, which needs files that are given


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("bench-gpu"), help="for the figures")
    parser.add_argument(
        "--sections", default=",".join(LIMITS), help=f"of {', '.join(LIMITS)}; comma-separated"
    )
    parser.add_argument("--seconds", type=float, default=ALL, help="for all sections together")
    parser.add_argument("--patience", type=float, default=1, help="times each section's limit")
    parser.add_argument(
        "--tiny", action="store_true", help="small sizes, to see that all works; so without a GPU"
    )
    parser.add_argument("--minilm", help="a folder of all-MiniLM-L6-v2, for the section scifact")
    parser.add_argument("--scifact", help="a BEIR folder of SciFact, for the section scifact")
    asked = parser.parse_args()
    asked.sections = asked.sections.split(",")
    if unknown := [name for name in asked.sections if name not in LIMITS]:
        parser.error(f"no section {unknown[0]!r}; there are {', '.join(LIMITS)}")
    asked.out.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + asked.seconds
    with tempfile.TemporaryDirectory() as scratch:
        hands = Hands(asked, Path(scratch))
        for name in asked.sections:
            hands.run(name, min(asked.patience * LIMITS[name], until - time.monotonic()))
        hands.stop(patience=10)
    results = [read(asked.out, name) for name in asked.sections]
    print("\n" + table(results), flush=True)
    return 1 if any(result["problem"] for result in results) else 0


class Hands:
    """The process that measures, started anew after one that hung or died."""

    def __init__(self, asked: argparse.Namespace, scratch: Path):
        self.asked, self.scratch = asked, scratch
        self.process = None

    def run(self, section: str, seconds: float) -> None:
        """One section; what ended it early stands among its figures."""
        began = time.monotonic()
        problem = f"not begun: no time is left of --seconds {self.asked.seconds:g}"
        if seconds > 1:
            if self.process is None:
                self._start()
            self.pipe.send(section)
            try:
                problem = (
                    self.pipe.recv()
                    if self.pipe.poll(seconds)
                    else f"stopped after {seconds:.0f} s"
                )
            except (EOFError, ConnectionError):
                self.process.join(5)
                problem = f"its process ended with {self.process.exitcode}"
            if problem and not problem.startswith(worker.FAILED):
                self.stop()
        worker.conclude(self.asked.out, section, time.monotonic() - began, problem)

    def stop(self, patience: float = 0) -> None:
        if self.process is not None:
            self.pipe.close()  # where it waits for a section, it ends by itself
            self.process.join(patience)
            if self.process.is_alive():
                os.killpg(self.process.pid, signal.SIGKILL)  # with what it started
            self.process.join()
        self.process = None

    def _start(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.pipe, theirs = spawn.Pipe()
        self.process = spawn.Process(target=worker.work, args=(theirs, self.asked, self.scratch))
        self.process.start()
        theirs.close()  # so that its end is seen
        self.pipe.recv()  # it leads a process group by now


if __name__ == "__main__":
    sys.exit(main())
