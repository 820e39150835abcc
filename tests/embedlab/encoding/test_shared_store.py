"""The vector store on a disk that several hosts share, whose locks do not hold,
and stores of earlier versions.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from embedlab.encoding.vectors import upkeep
from embedlab.encoding.vectors.keys import space_address, text_keys
from embedlab.encoding.vectors.vector_store import Space
from tests.embedlab.encoding.test_vector_store import INGREDIENTS, fill

ROOT = Path(__file__).parents[3]
# Every host writes 20 shards of its own, and each the same text "both" with vectors of its own.
HOST = """
import fcntl, os, socket, sys

def no_locks(*_):
    raise OSError(37, "No locks available")

fcntl.flock = fcntl.lockf = no_locks
host = int(sys.argv[2])
socket.gethostname = lambda: f"node{host}"
os.getpid = lambda: 7  # as in two containers
from pathlib import Path
import numpy as np
from embedlab.encoding.vectors import upkeep
from embedlab.encoding.vectors.keys import text_keys
from embedlab.encoding.vectors.vector_store import Space

root = Path(sys.argv[1])
space = Space({"model": "shared"}, root)
for part in range(20):
    keys = text_keys("", [f"{host}-{part}", "both"])
    space.add(keys, np.ones(2), np.full((2, 2), 100 * host + part, np.float32), 0.0)
    assert Space({"model": "shared"}, root).vectors(keys).read()[0, 0] == 100 * host + part
    upkeep.prune(root)
space.refresh()
print(space.vectors(text_keys("", ["both"])).read()[0, 0], flush=True)
sys.stdin.readline()
"""


def test_hosts_write_at_once_without_locks(tmp_path):
    hosts = [
        subprocess.Popen(
            [sys.executable, "-c", HOST, str(tmp_path), str(host)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for host in range(3)
    ]
    for host in hosts:
        assert host.stdout.readline()
    ended = [host.communicate("\n", timeout=60) for host in hosts]
    assert [host.returncode for host in hosts] == [0, 0, 0], ended
    space, again = Space({"model": "shared"}, tmp_path), Space({"model": "shared"}, tmp_path)
    for host in range(3):
        found = space.vectors(text_keys("", [f"{host}-{part}" for part in range(20)])).read()
        np.testing.assert_array_equal(found[:, 0], 100 * host + np.arange(20))
    both = text_keys("", ["both"])
    np.testing.assert_array_equal(space.vectors(both).read(), again.vectors(both).read())
    assert upkeep.verify(tmp_path) == [] and upkeep.prune(tmp_path) == 0


def test_everybody_takes_the_same_of_two_vectors_whoever_wrote_first(tmp_path):
    one, other = Space(INGREDIENTS, tmp_path), Space(INGREDIENTS, tmp_path)
    for seed in range(6):
        fill(one if seed % 2 else other, ["a"], seed)
    one.refresh()
    other.refresh()
    key = text_keys("", ["a"])
    found = [
        space.vectors(key).read().tolist() for space in (one, other, Space(INGREDIENTS, tmp_path))
    ]
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize(
    ("mark", "age", "kept"),
    [
        (f"{os.getpid()}@elsewhere.user", 0, True),
        (f"{os.getpid()}@elsewhere.user", 7200, False),  # it renews its mark no more
        (f"{os.getppid()}.user", 7200, True),  # of an earlier version, on this host
        ("4194305.user", 0, False),
    ],
    ids=["another host", "long silent", "earlier version", "ended"],
)
def test_prune_spares_what_another_host_may_be_writing(tmp_path, mark, age, kept, capsys):
    space = Space(INGREDIENTS, tmp_path)
    fill(space, ["a"])
    (space.folder / mark).touch()
    stamp = (space.folder / mark).stat().st_mtime - age
    os.utime(space.folder / mark, (stamp, stamp))
    young, old = space.folder / "0.dense.npy", space.folder / "1.dense.npy"
    for path in (young, old):
        path.write_bytes(b"x" * 10)
    os.utime(old, (stamp - 90_000, stamp - 90_000))
    assert upkeep.prune(tmp_path) == (10 if kept else 20)
    assert young.exists() == kept and not old.exists()
    assert (upkeep.prune(tmp_path, matching="owner") == 0) == kept
    assert ("in use" in capsys.readouterr().err) == kept == space.folder.exists()


@pytest.fixture
def older(tmp_path):
    """A store that an earlier version made: shards of (a, b) and (b, c), and no records."""
    shutil.copytree(Path(__file__).with_name("older_store"), tmp_path / space_address(INGREDIENTS))
    return tmp_path


def test_a_store_of_an_earlier_version_is_read_and_added_to(older):
    space = Space(INGREDIENTS, older)
    fill(space, ["b", "d"])
    for reader in (space, Space(INGREDIENTS, older)):
        found = reader.vectors(text_keys("", ["c", "b", "a"]))
        assert found.read().tolist() == [[3, 0], [2, 0], [1, 0]]  # of both b the one listed first
        assert found.tokens().tolist() == [5, 4, 3]
        assert reader.has(text_keys("", ["d", "e"])).tolist() == [True, False]
    (stored,) = upkeep.spaces(older)
    assert stored.ingredients == INGREDIENTS and sum(shard.rows for shard in stored.shards) == 6
    assert upkeep.prune(older) == 0 and upkeep.verify(older) == []
    assert upkeep.prune(older, matching="name") > 0 and not list(older.iterdir())


def test_a_damaged_shard_of_an_earlier_version_is_encoded_again(older, capsys):
    folder = older / space_address(INGREDIENTS)
    victim = min(folder.glob("*.dense.npy"))
    victim.write_bytes(victim.read_bytes()[:-1] + b"\1")
    assert Space(INGREDIENTS, older).has(text_keys("", ["a", "b", "c"])).tolist() == [1, 1, 0]
    assert victim.name in capsys.readouterr().err
    assert upkeep.verify(older) == []
    assert Space(INGREDIENTS, older).has(text_keys("", ["a", "b", "c"])).tolist() == [1, 1, 0]


def test_what_is_not_embedlabs_in_the_folder_stays_as_it_is(tmp_path, cli, monkeypatch):
    project = tmp_path / "project/site"
    project.mkdir(parents=True)
    for name in ("package.json", "manifest.json", "weights.npy", "notes.tmp", ".draft.part"):
        (project / name).write_text("mine")
    monkeypatch.setenv("EMBEDLAB_VECTORS", str(tmp_path / "project"))
    fill(Space(INGREDIENTS), ["a"])
    for command in (["ls"], ["du"], ["verify"], ["prune"], ["prune", "--model", "name"]):
        code, out, err = cli("cache", *command)
        assert code == 0 and "site" not in out + err, command
    assert {path.read_text() for path in project.iterdir()} == {"mine"}
    assert len(list(project.iterdir())) == 5 and len(list(project.parent.iterdir())) == 1
