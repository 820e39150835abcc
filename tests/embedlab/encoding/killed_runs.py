"""Evaluate a BEIR folder again and again, killed with SIGKILL at random moments, then to the end.

Run as a program (it forks, which wants a process of its own): killed_runs.py MODEL BEIR_FOLDER HOME
KILLS Prints how many runs were killed and every digest that rankings and scores had at the end:
one, if all is well.
"""

import hashlib
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

torch.set_num_threads(1)  # a forked child must not inherit a pool of threads

from embedlab import models  # noqa: E402
from embedlab.encoding import batches  # noqa: E402
from embedlab.evaluation import run  # noqa: E402


def evaluate(model: str, folder: str) -> str:
    outcome = run.evaluate(
        run.Request.of(
            [model],
            [folder],
            indexes=["torch"],
            dtype="float32",
            device="cpu",
            db=Path(os.environ["EMBEDLAB_HOME"]) / "results.duckdb",
        )
    )
    assert not outcome.failures, outcome.failures
    digest = hashlib.sha256()
    for ranking in (finished.ranking for finished in outcome.runs):
        digest.update(ranking.rows.tobytes() + ranking.scores.tobytes())
    return digest.hexdigest()


def main(model: str, folder: str, home: str, kills: int) -> None:
    batches.SHARD_CHARACTERS = 3_000
    loaded = models.load(model, device="cpu", dtype="float32")
    models.load = lambda *_, **__: loaded  # loading is not what is tested
    loaded.encoder.encode("warm up")
    chance, killed, digests, homes = random.Random(7), 0, set(), 1
    os.environ["EMBEDLAB_HOME"] = f"{home}-{homes}"
    while killed < kills:
        child = os.fork()
        if child == 0:
            evaluate(model, folder)
            os._exit(0)
        time.sleep(chance.uniform(0.0, 0.35))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        killed += os.WIFSIGNALED(status)
        if not os.WIFSIGNALED(status):  # the work was done before the kill: on with an empty home
            digests.add(evaluate(model, folder))
            homes += 1
            os.environ["EMBEDLAB_HOME"] = f"{home}-{homes}"
    digests.add(evaluate(model, folder))
    print(killed, *digests)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
