"""Exports on disk: whole or not there, shown and removed through the command line."""

import json
import os
import signal
import subprocess
import sys

import pytest

from embedlab import kept_folders
from embedlab.encoders.backends import exports

WRITER = """
import sys, time
from pathlib import Path
from embedlab import kept_folders
from embedlab.encoders.backends import exports

def make(new):
    exports.describe(new, "mine@onnx")
    (new / "model.onnx").write_bytes(b"half")
    print("writing", flush=True)
    time.sleep(float(sys.argv[2]))
    (new / "model.onnx").write_bytes(b"whole")

kept_folders.made(Path(sys.argv[1]), make)
print("done", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def writer(home):
    started = []

    def start(seconds):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(home / "exports/one"), str(seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "writing\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def never(new):
    raise AssertionError("another process has made it")


def whole(new):
    exports.describe(new, "mine@onnx")
    (new / "model.onnx").write_bytes(b"whole")


def test_what_a_killed_process_was_writing_is_made_anew(home, cli, writer):
    process = writer(60)
    code, out, err = cli("cache", "prune")
    assert code == 0 and "Freed 0.0 MB" in out, err
    assert (home / "exports/.one.part").is_dir()  # somebody is writing it
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert json.loads(cli("cache", "du", "--json")[1])["exports"] == {}
    folder = kept_folders.made(home / "exports/one", whole)
    assert (folder / "model.onnx").read_bytes() == b"whole"
    assert not (home / "exports/.one.part").exists()


def test_of_two_processes_one_exports(home, writer):
    writer(0.5)
    folder = kept_folders.made(home / "exports/one", never)
    assert (folder / "model.onnx").read_bytes() == b"whole"


def test_exports_are_shown_and_removed_unless_a_process_uses_them(home, cli, writer):
    process = writer(0)
    assert process.stdout.readline() == "done\n"
    for key, facts in (("old", {"model": "old", "made_by": ["torch 1.0"]}), ("older", None)):
        (home / "exports" / key).mkdir()
        (home / "exports" / key / "model.onnx").write_bytes(b"x" * 3000)
        if facts:
            (home / "exports" / key / "export.json").write_text(json.dumps(facts))
    half = home / "exports/one/.int8.part"
    half.mkdir()
    (half / "model.onnx").write_bytes(b"x")
    taken = json.loads(cli("cache", "du", "--json")[1])["exports"]
    assert set(taken) == {"?", "mine@onnx", "old"} and taken["?"] == 3000
    assert "export mine@onnx" in cli("cache", "du")[1]
    code, _, err = cli("cache", "prune", "--model", "nope")
    assert code == 2 and "No vectors of a model 'nope'" in err
    assert cli("cache", "prune", "--model", "mine")[0] == 0
    assert (home / "exports/one/model.onnx").is_file()  # the writer still runs
    assert not (home / "exports/old").exists() and not (home / "exports/older").exists()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    cli("cache", "prune")
    assert (home / "exports/one/model.onnx").is_file() and not half.exists()
    cli("cache", "prune", "--model", "MINE@")
    assert not (home / "exports/one").exists()
