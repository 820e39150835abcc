"""What somebody meets who types embedlab for the first time."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from embedlab import __version__

ROOT = Path(__file__).parents[3]


@pytest.mark.effect("--version")
def test_the_version(cli):
    code, out, _ = cli("--version")
    assert (code, out) == (0, f"embedlab {__version__}\n")


def test_it_runs_as_a_module():
    answer = subprocess.run([sys.executable, "-m", "embedlab", "-h"], capture_output=True, text=True, cwd=ROOT)
    assert answer.returncode == 0 and answer.stdout.startswith("Usage: embedlab [OPTIONS] COMMAND")


@pytest.mark.parametrize("command", [("eval",), ("runs", "list"), ("index",)])
def test_h_is_help(cli, command):
    assert cli(*command, "-h")[:2] == cli(*command, "--help")[:2] != (2, "")


@pytest.mark.parametrize(
    ("words", "problem", "next_step"),
    [
        (("index", "--corpus", "c", "--out", "o"), "not given: --model.", "embedlab index --model bm25"),
        (("index",), "not given: --model, --corpus, --out.", "embedlab index --model bm25"),
        (("search",), "there is neither", 'embedlab search INDEX "a query"'),
        (("search", "my-index"), "there is only my-index", 'embedlab search INDEX "a query"'),
        (("search", str(ROOT)), f"there is only {ROOT}", 'embedlab search INDEX "a query"'),
        (("search", "my-index", "two", "words"), "not 3 words", "in quotes"),
        (("eval", "-m", "rrf(bm25 a)", "-t", "stdlib-mini"), "needs two models or more", "rrf(bm25, a)"),
    ],
)
def test_what_is_missing_is_named(cli, home, words, problem, next_step):
    code, out, err = cli(*words)
    assert (code, out) == (2, "") and problem in err and next_step in err


def test_make_and_the_command_use_one_store():
    """`make eval` and `make dashboard` leave the store to the program; tests have one of their own."""
    clean = {name: value for name, value in os.environ.items() if name not in ("EMBEDLAB_HOME", "MAKEFLAGS")}

    def home_in(target: str) -> str:
        shown = ["make", "--no-print-directory", "-o", ".venv/ready", target, "BIN=/bin/env #"]
        return subprocess.run(shown, cwd=ROOT, env=clean, capture_output=True, text=True, check=True).stdout

    assert "EMBEDLAB_HOME=" not in home_in("eval") + home_in("dashboard")
    assert f"EMBEDLAB_HOME={ROOT}/.embedlab" in home_in("test")


@pytest.mark.parametrize(
    ("command", "said"), [("eval", "type the same command again"), ("index", "Nothing half done is left")]
)
def test_ctrl_c_is_answered_at_once(command, said):
    """Before the command has come to its end, which takes two seconds here."""
    code = (
        "import sys, time\nfrom embedlab import cli\n"
        "def slow():\n    try:\n        print('ready', flush=True); time.sleep(60)\n"
        "    finally:\n        print('unwinding', flush=True); time.sleep(2)\n"
        f"cli._register = lambda: cli.app.command({command!r})(slow)\n"
        f"sys.argv = ['embedlab', {command!r}]\ncli.run()"
    )
    program = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, text=True, stdout=-1, stderr=-1)
    assert program.stdout.readline() == "ready\n"
    program.send_signal(signal.SIGINT)
    assert program.stderr.readline() == "\n" and said in program.stderr.readline()
    assert program.poll() is None, "it was said before the end"
    _, err = program.communicate(timeout=30)
    assert program.returncode == 130 and err == ""
