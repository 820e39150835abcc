"""`embedlab` in a process of its own: process.py KILL < a JSON list of command lines.

KILL is how many shards of vectors are written before the process kills itself with SIGKILL; 0 lets
it end.
"""

import json
import os
import signal
import sys

import torch

torch.set_num_threads(1)

from embedlab.encoding.vectors.vector_store import Space  # noqa: E402
from tests.invariants.sizes import shrink  # noqa: E402
from tests.invariants.worlds import in_process  # noqa: E402


def kill_after(shards: int) -> None:
    plain, written = Space.add, iter(range(1, shards))

    def add(self, *arguments, **named) -> None:
        plain(self, *arguments, **named)
        if next(written, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    Space.add = add


if __name__ == "__main__":
    shrink()
    if shards := int(sys.argv[1]):
        kill_after(shards)
    for line in json.load(sys.stdin):
        in_process(None, line)
