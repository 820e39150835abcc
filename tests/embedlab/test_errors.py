"""What reaches the user of an error: ours, the machine's, and a fault of the program."""

import errno
import os
import subprocess
import sys

import pytest

from embedlab.errors import UserError, explained
from leaderboard.errors import LeaderboardError
from retrievers import RetrieverError


def test_a_hint_alone_makes_no_error_ours():
    class Foreign(Exception):
        hint = "Restart the database."

    class Plugin(UserError):
        pass

    assert explained(Foreign("gone")) is None
    for ours in (UserError, RetrieverError, LeaderboardError, Plugin):
        assert explained(ours("What is wrong.", "What to type.")) == (
            "What is wrong.",
            "What to type.",
        )


_MACHINE = [
    getattr(errno, name)
    for name in ("ENOSPC", "EROFS", "EACCES", "ENAMETOOLONG", "ELOOP", "ENOTDIR", "EISDIR")
]


@pytest.mark.parametrize("number", _MACHINE)
def test_what_a_machine_refuses_is_named_with_the_file(number):
    problem, hint = explained(OSError(number, os.strerror(number), "/data/results.duckdb"))
    assert problem == f"/data/results.duckdb cannot be used: {os.strerror(number)}." and hint
    # A fault of ours where nobody named one.
    assert explained(FileNotFoundError(errno.ENOENT, "No such file")) is None


@pytest.mark.parametrize(
    ("raises", "code", "words"),
    [
        (
            "OSError(28, 'No space left on device', 'x')",
            2,
            "x cannot be used: No space left on device.",
        ),
        ("KeyError('k')", 1, "fault of the program"),
        ("MemoryError()", 2, "memory of this machine"),
    ],
)
def test_no_traceback_reaches_the_user(raises, code, words):
    program = (
        "import sys\nfrom embedlab import cli\nimport embedlab.cli.models as models\n"
        f"def command():\n    raise {raises}\n"
        "models.command = command\nsys.argv = ['embedlab', 'models']\ncli.run()"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == code and words in ended.stderr and "Traceback" not in ended.stderr


def test_a_reader_that_stops_reading_is_no_error():
    program = (
        "import sys\nfrom embedlab import cli\nsys.argv = ['embedlab', 'models',"
        " '--json']\ncli.run()"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    writer.stdout.read(10)
    writer.stdout.close()
    writer.wait(60)
    assert not writer.stderr.read()


@pytest.mark.parametrize(
    "command", [("leaderboard", "--db"), ("dashboard", "--db"), ("merge", "x", "--db")]
)
def test_links_that_lead_in_a_circle(command, tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (tmp_path / "x").touch()
    program = "import sys\nfrom embedlab import cli\ncli.run()"
    words = [sys.executable, "-c", program, *command, "a"]
    ended = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, timeout=100)
    assert ended.returncode == 2 and "fault" not in ended.stderr, ended.stderr
