"""Progress of running evaluations: published whole,
read by others, and gone when its process is.
"""

import json
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from leaderboard.storage import live
from leaderboard.storage.live import Progress


@pytest.fixture
def db(tmp_path) -> Path:
    return tmp_path / "results.duckdb"


def test_what_is_published_is_read(db):
    progress = Progress("m", "SciFact", "encode documents", 50, 200, 10.0)
    live.publish(db, progress)
    live.publish(db, replace(progress, done=100))
    (found,) = live.read(db)
    assert (found.model, found.task, found.phase, found.done, found.id) == (
        "m",
        "SciFact",
        progress.phase,
        100,
        progress.id,
    )
    assert found.share == 0.5 and found.seconds_left == 10.0
    assert found.updated >= progress.updated
    live.clear(db, progress)
    assert live.read(db) == []
    assert not list((db.with_suffix(".files") / "live").iterdir())


def test_a_dead_process_is_forgotten_and_its_file_removed(db):
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    gone = Progress("m", "t", "encode", pid=child.pid)
    live.publish(db, gone)
    assert live.read(db)  # it may be on another machine: wait a little
    _age(db, gone, 31)
    assert live.read(db) == [] and not _file(db, gone).exists()


def test_a_silent_process_that_lives_is_kept_for_an_hour(db):
    progress = Progress("m", "t", "load")
    live.publish(db, progress)
    _age(db, progress, 3000)
    assert live.read(db)
    _age(db, progress, 3601)
    assert live.read(db) == []


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"model": 1}', '{"model": "m", "task": "t", "phase": "p", "x": 1}']
)
def test_files_that_make_no_sense_are_removed(db, content):
    live.publish(db, progress := Progress("m", "t", "p"))
    _file(db, progress).write_text(content)
    assert live.read(db) == [] and not _file(db, progress).exists()


def test_readers_never_see_half_a_file(db):
    progress, seen, end = Progress("m" * 5000, "t", "p"), [], time.monotonic() + 1
    live.publish(db, progress)

    def write() -> None:
        while time.monotonic() < end:
            live.publish(db, progress)

    writer = threading.Thread(target=write)
    writer.start()
    while time.monotonic() < end:
        seen.append(len(live.read(db)))
    writer.join()
    assert set(seen) == {1} and len(seen) > 10


def test_a_disk_that_refuses_does_not_stop_the_evaluation(db):
    db.with_suffix(".files").write_text("a file where a folder should be")
    live.publish(db, Progress("m", "t", "p"))
    live.clear(db, Progress("m", "t", "p"))
    assert live.read(db) == []


def _file(db: Path, progress: Progress) -> Path:
    return db.with_suffix(".files") / "live" / f"{progress.pid}-{progress.id}.json"


def _age(db: Path, progress: Progress, seconds: float) -> None:
    path = _file(db, progress)
    path.write_text(json.dumps({**json.loads(path.read_text()), "updated": time.time() - seconds}))
