"""Many processes write and read one store; some are killed."""

import random
import subprocess
import sys
import time
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import duckdb
import pytest

from leaderboard.errors import LeaderboardError
from leaderboard.storage.store import Store
from leaderboard.tables.standings import rank

TRAFFIC = Path(__file__).parent / "traffic.py"
_spec = spec_from_file_location("traffic", TRAFFIC)
traffic = module_from_spec(_spec)
_spec.loader.exec_module(traffic)


def _start(*arguments) -> subprocess.Popen:
    command = [sys.executable, str(TRAFFIC), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _crowd(tmp_path: Path, writers: int, runs: int, readers: int) -> None:
    path, done = tmp_path / "results.duckdb", tmp_path / "done"
    started = time.monotonic()
    polling = [_start("poll", path, done) for _ in range(readers)]
    writing = [_start("write", path, runs, 1000 * n) for n in range(writers)]
    errors = [process.communicate()[1] for process in writing]
    seconds = time.monotonic() - started
    done.touch()
    answers = [process.communicate() for process in polling]
    assert [*errors, *(error for _, error in answers)] == [""] * (writers + readers)
    assert all(int(polls) > 0 for polls, _ in answers)
    print(
        f"{writers} writers x {runs} runs: {seconds:.1f} s; polls"
        f" {[int(polls) for polls, _ in answers]}"
    )
    store = Store(path)
    expected = sorted(f"run-{1000 * n + i}" for n in range(writers) for i in range(runs))
    assert sorted(store.runs()["id"].to_pylist()) == expected
    assert store.query(traffic.PARTIAL).num_rows == 0
    assert store.query("SELECT count(*) AS n FROM scores").to_pylist() == [{"n": 2 * len(expected)}]
    assert len(store.texts(traffic.whole_run(0).task).documents) == 3
    assert store.prune(max_age=0) == []


def _massacre(tmp_path: Path, writers: int, runs: int, kills: int) -> None:
    """Kill random writers with SIGKILL, start each anew where it was, until all is written."""
    path, rng = tmp_path / "results.duckdb", random.Random(7)
    started = time.monotonic()
    processes = {n: _start("write", path, runs, 1000 * n) for n in range(writers)}
    acknowledged = set()
    for _ in range(kills):
        time.sleep(rng.uniform(0.4, 1.6))
        victim = rng.choice(sorted(processes))
        processes[victim].kill()
        output, error = processes[victim].communicate()
        assert error == ""
        acknowledged |= set(output.split())
        store = Store(path)
        assert store.query(traffic.PARTIAL).num_rows == 0
        assert acknowledged <= set(store.runs()["id"].to_pylist())
        processes[victim] = _start("write", path, runs, 1000 * victim)
    assert [process.communicate()[1] for process in processes.values()] == [""] * writers
    print(f"{writers} writers x {runs} runs, {kills} killed: {time.monotonic() - started:.1f} s")
    store = Store(path)
    expected = sorted(f"run-{1000 * n + i}" for n in range(writers) for i in range(runs))
    assert sorted(store.runs()["id"].to_pylist()) == expected
    assert store.query(traffic.PARTIAL).num_rows == 0
    store.prune(max_age=0)
    files = sorted(file.stem for file in (tmp_path / "results.files/rankings").iterdir())
    assert files == expected


def test_writers_and_readers_do_not_disturb_each_other(tmp_path):
    _crowd(tmp_path, writers=4, runs=5, readers=2)


def test_a_killed_writer_leaves_whole_runs_only(tmp_path):
    _massacre(tmp_path, writers=3, runs=8, kills=3)


@pytest.mark.bench
def test_eight_writers_and_four_readers(tmp_path):
    _crowd(tmp_path, writers=8, runs=50, readers=4)


@pytest.mark.bench
def test_eight_writers_of_which_random_ones_are_killed(tmp_path):
    _massacre(tmp_path, writers=8, runs=50, kills=25)


def test_another_program_that_keeps_the_file_is_named_after_the_time_limit(tmp_path, make_run):
    store = Store(tmp_path / "results.duckdb", timeout=0.3)
    store.add(make_run(1))
    script = (
        f"import duckdb; c = duckdb.connect({str(store.path)!r}); print('open', flush=True);"
        " input()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout.readline() == "open\n"
        for action in (lambda: store.add(make_run(2)), store.runs):
            with pytest.raises(LeaderboardError, match=rf"held by .*PID {other.pid}") as caught:
                action()
            assert "Close that program" in caught.value.hint
    finally:
        other.communicate("\n")
    assert store.runs().num_rows == 1
    store.add(make_run(2))
    assert store.runs().num_rows == 2


def test_a_ranking_opens_the_store_once(tmp_path, make_run, monkeypatch):
    store, opened = Store(tmp_path / "results.duckdb"), []
    store.add(make_run(1))
    connect = duckdb.connect
    monkeypatch.setattr(
        duckdb, "connect", lambda *place, **how: opened.append(place) or connect(*place, **how)
    )
    rank(store, over="none")
    assert len(opened) == 1
    with store.database.opened():
        assert store.runs().num_rows == 1
        with pytest.raises(LeaderboardError, match="held by"):
            Store(store.path, timeout=0.1).add(make_run(2))
        assert store.scores().num_rows == 1
    store.add(make_run(2))
    assert store.runs().num_rows == 2


def test_a_reader_at_work_delays_a_writer_but_not_another_reader(tmp_path, make_run):
    store = Store(tmp_path / "results.duckdb", timeout=5)
    store.add(make_run(1))
    with store.database.reading() as connection:
        assert store.runs().num_rows == 1
        with pytest.raises(LeaderboardError, match="held by"):
            Store(store.path, timeout=0.1).add(make_run(2))
        assert connection.execute("SELECT count(*) FROM runs").fetchall() == [(1,)]
    store.add(make_run(2))
    with duckdb.connect(str(store.path), read_only=True) as plain:
        assert plain.execute("SELECT count(*) FROM results").fetchall() == [(2,)]
