"""`embedlab cache prune` beside an evaluation that runs:
for real, with two processes, again and again.
"""

import json
import os
import time

from working_folder import folder, runs

from tests import ready

EVAL = """
import sys, time
from embedlab import cli
from embedlab.encoding import batches
from embedlab.encoding.encoder import Encoder
batches.SHARD_CHARACTERS = 500      # many additions to the store, with prunes between them
encode = Encoder.encode
def slowly(*arguments, **named):
    found = encode(*arguments, **named)
    if named["role"] == "document":     # the last of both
        print("encoded", flush=True)
        sys.stdin.readline()            # until the other has pruned
    return found
Encoder.encode = slowly
sys.argv = ["embedlab", *sys.argv[1:]]
cli.run()
"""


def test_pruning_beside_an_evaluation_does_no_harm(tiny_folder, tmp_path, home, cli):
    folder(tmp_path / "corner", count=300)
    typed = [
        "eval", "--model", str(tiny_folder), "--task", str(tmp_path / "corner"), "--index", "torch",
        "--json",
    ]  # fmt: skip
    environment = {**os.environ, "EMBEDLAB_HOME": str(home), "OMP_NUM_THREADS": "1"}
    running = ready.Process("-c", EVAL, *typed, env=environment)
    pruned = 0
    while not list(home.glob("vectors/*/manifest.json")):
        assert running.poll() is None, running.said()
        time.sleep(0.005)
    for _ in range(10):
        assert cli("cache", "prune")[0] == 0
        pruned += 1
    assert running.stdout.readline() == "encoded\n"  # its vectors are to be read from the disk now
    code, out, err = cli("cache", "prune", "--model", "tiny")
    assert code == 0 and "in use" in err and "0.0 MB" in out
    beside = json.loads(running.communicate("\n", timeout=120)[0])["runs"][0]
    assert running.returncode == 0 and pruned == 10
    code, out, err = cli("cache", "prune", "--model", "tiny")
    assert code == 0 and "in use" not in err and not list(home.glob("vectors/*/*.npy"))
    alone = json.loads(cli(*typed)[1])["runs"][0]
    assert (
        alone["scores"] == beside["scores"]
        and len(next(iter(runs(home.parent, "home/results.duckdb").values()))) == 1
    )
