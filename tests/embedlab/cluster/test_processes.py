"""Processes on a cluster: whatever becomes of them, every call is answered once and in its order.

What works there is light, and sent as code.
"""

import errno
import os
import re
import signal
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest

from embedlab.cluster import engine, nodes
from embedlab.cluster.fleet import Fleet
from embedlab.cluster.pool import Call
from embedlab.cluster_address import ClusterAddress
from embedlab.errors import UserError
from embedlab.options import LoadingOptions
from embedlab.progress import Reporter
from retrievers.indexes.base_index import make_index
from retrievers.indexes.chunked import numbered, search_stream


@pytest.fixture(scope="module")
def cluster():
    """Two workers on this machine; afterwards nothing of it runs, or lies about."""
    with engine.opened(ClusterAddress(workers=2), on_gpus=False, say=print) as opened:
        folder = folder_of_ray()
        yield opened
    assert running() == [] and not folder.exists() and "RAY_AUTH_TOKEN" not in os.environ


def folder_of_ray():
    import ray

    return Path(ray._private.worker.global_worker.node.get_temp_dir_path()).parent


def running():
    """The processes of Ray's that this process started, by their command lines."""
    lines = []
    for each in psutil.Process().children(recursive=True):
        try:
            lines.append(" ".join(each.cmdline()))
        except psutil.Error:  # it has ended
            continue
    return [line for line in lines if "ray::" in line or "/ray/" in line]


def work(folder):
    """What a process does, as a class that travels as code."""

    class Work:
        def __init__(self, what):
            if what == "broken":
                raise OSError(errno.ENOSPC, "No space left on device", "model")

        def square(self, number):
            return number * number

        def die_once(self, number):
            mark = folder / f"died at {number}"
            if number % 5 == 3 and not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return number, os.getpid()

        def die(self, number):
            os.kill(os.getpid(), signal.SIGKILL)

        def fill(self, number):
            """The disk of the first process is full."""
            mark = folder / "full"
            with suppress(FileExistsError):
                mark.symlink_to(str(os.getpid()))
            if str(mark.readlink()) == str(os.getpid()):
                raise OSError(errno.ENOSPC, "No space left on device", "/scratch")
            return number

        def refuse(self, number):
            raise UserError(f"not {number}", "another")

    return Work


@pytest.fixture
def pool(cluster, tmp_path):
    said = []
    pool = cluster.workplace(partial(work(tmp_path), "well"), said.append)
    pool.said = said
    yield pool
    pool.stop()


def test_nobody_else_reaches_ray_on_this_machine(cluster, pool):
    """Whoever did could run code."""
    assert next(pool.run(calls("square", 1))).value == 0
    here = psutil.Process()
    open_at = {
        socket.laddr.ip.removeprefix("::ffff:")
        for process in (here, *here.children(recursive=True))
        for socket in process.net_connections("inet")
        if socket.status == psutil.CONN_LISTEN
    }
    assert open_at == {"127.0.0.1"}
    folder = folder_of_ray()
    assert folder.name.startswith("ray-") and folder.stat().st_mode & 0o777 == 0o700
    (head,) = (each for each in here.children() if each.name() == "gcs_server")
    assert head.environ()["RAY_AUTH_MODE"] == "token"
    assert len(head.environ()["RAY_AUTH_TOKEN"]) == 64


def test_the_process_that_passes_progress_on_may_be_lost(cluster):
    board = engine.Board(cluster)
    board.add(0, "say", "first")
    assert board.taken() == [(0, "say", "first")]
    (holder,) = (
        each
        for each in psutil.Process().children(recursive=True)
        if "ray::_Events" in " ".join(each.cmdline())
    )
    holder.kill()
    limit = time.monotonic() + 30
    while not (seen := board.taken()):
        assert time.monotonic() < limit
        board.add(0, "say", "second")
        time.sleep(0.1)
    assert set(seen) == {(0, "say", "second")}
    board.stop()


def calls(method, number):
    return (Call(method, (n,)) for n in range(number))


def test_calls_of_lost_processes_are_done_by_others(pool):
    done = []
    answers = list(pool.run(calls("die_once", 20), done=lambda answer: done.append(answer.number)))
    assert [answer.value[0] for answer in answers] == list(range(20)) == sorted(done)
    assert len({answer.value[1] for answer in answers}) > 2 and pool.said == []


def test_what_ends_every_process_is_an_error_of_that_call_alone(pool):
    asked = [Call("square", (2,)), Call("die", (0,)), Call("square", (3,))]
    first, second, third = pool.run(asked)
    assert (first.value, third.value) == (4, 9)
    assert "4 workers of the cluster were lost at the same work" in str(second.error)
    assert second.node in str(second.error)


def test_a_full_disk_is_named_with_its_node_and_the_rest_goes_on(pool):
    answers = list(pool.run(calls("fill", 12)))
    assert [answer.value for answer in answers] == list(range(12)) and len(pool) == 1
    node = answers[0].node
    assert pool.said == [
        f"The node {node} gets no more work: /scratch cannot be used: No space left on device."
    ]


def test_no_process_that_can_work_is_one_error(cluster, tmp_path):
    pool = cluster.workplace(partial(work(tmp_path), "broken"), print)
    with pytest.raises(UserError, match=r"On the node .*: model cannot be used: No space") as error:
        list(pool.run(calls("square", 3)))
    assert "Free some space" in error.value.hint


def test_an_error_of_the_work_is_its_answer(pool):
    assert [str(answer.error) for answer in pool.run(calls("refuse", 3))] == [
        "not 0", "not 1", "not 2",
    ]  # fmt: skip


def test_no_more_is_begun_than_is_soon_taken(pool):
    begun = []
    answers = pool.run(begun.append(call) or call for call in calls("square", 1000))
    assert next(answers).value == 0 and len(begun) < 20


@pytest.mark.parametrize(
    ("package", "version", "problem"),
    [("torch", "0.1", "torch .* \\(0.1 here\\)"), ("no-such", "2", "no-such is not there \\(2")],
)
def test_nodes_with_other_packages_are_named(cluster, monkeypatch, package, version, problem):
    own = nodes._version
    monkeypatch.setattr(nodes, "PACKAGES", ("torch", package))
    monkeypatch.setattr(nodes, "_version", lambda name: version if name == package else own(name))
    said = []
    with pytest.raises(UserError, match="No node of the cluster can do the work"):
        engine._fitting(said.append)
    assert len(said) == 1
    assert re.search(f"The node .* gets no work: {problem}", said[0])


@pytest.mark.parametrize("spec", ["torch", "faiss:flat"])
def test_documents_searched_by_several_are_found_as_by_one(cluster, spec):
    """With many ties, within a block and across blocks."""
    rng = np.random.default_rng(0)
    documents = rng.integers(-2, 3, (700, 6)).astype(np.float32)
    queries = rng.integers(-2, 3, (9, 6)).astype(np.float32)
    index = make_index(spec, metric="ip")
    expected = search_stream(index, numbered([documents]), queries, 40)
    fleet = Fleet(cluster, LoadingOptions(), False, Reporter(quiet=True))
    with Reporter(quiet=True).phase("search", 700) as bar:
        blocks = numbered(documents[start : start + 90] for start in range(0, 700, 90))
        found = fleet.of("m").search(index, blocks, queries, 40, bar=bar)
    fleet.stop()
    assert (found.rows == expected.rows).all()
    assert found.scores.tobytes() == expected.scores.tobytes()
