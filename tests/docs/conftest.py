"""A folder and an EMBEDLAB_HOME as somebody has them who reads along, with small data."""

import json
import shutil
import subprocess
import sys
import tomllib
from itertools import dropwhile
from pathlib import Path

import pytest

from tests.docs.blocks import ASSIGNED, ROOT, Block, words

SMALL = {"characters": 200, "documents": 60, "queries": 20, "packages": 3, "train": 4, "test": 4}
CORPUS = {
    "d1": "Vitamin D reduces the risk of fractures.",
    "d2": "Statins lower cholesterol.",
    "d3": "Aspirin thins the blood.",
    "d4": "Green tea is rich in antioxidants.",
    "d5": "Regular walking lowers blood pressure.",
    "d6": "Insulin regulates blood sugar.",
}
QUERIES = {"q1": "which drug lowers cholesterol", "q2": "what prevents broken bones"}
RELEVANT = {"q1": "d2", "q2": "d1"}


@pytest.fixture(scope="session")
def caches(tmp_path_factory):
    """What may be shared between pages: texts encoded once,
    the built-in benchmark, facts of models.
    """
    folder = tmp_path_factory.mktemp("caches")
    for name in ("vectors", "stdlib", "models"):
        (folder / name).mkdir()
    return folder


@pytest.fixture
def reader(tmp_path, monkeypatch, caches, real_bases, cli):
    """Somebody who reads a page and types what it says."""
    import torch

    from embedlab.tasks import catalogue

    torch.set_num_threads(1)
    home = tmp_path / "home"
    home.mkdir()
    for cache in (*caches.iterdir(), real_bases):
        (home / cache.name).symlink_to(cache)
    monkeypatch.setenv("EMBEDLAB_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "200")
    for bench in ("stdlib", "stdlib-mini"):
        monkeypatch.setitem(catalogue.benchmarks()[bench], "sizes", SMALL)
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.chdir(place)
    write_beir(Path("path/to/beir-folder"))
    shutil.copytree(ROOT / "data" / "checkpoints" / "causal2vec-mini", "my-causal2vec")
    return Reader(cli, monkeypatch)


def write_beir(folder: Path) -> None:
    """A corpus of four documents with two judged queries."""
    (folder / "qrels").mkdir(parents=True)
    for name, rows in (("corpus", CORPUS), ("queries", QUERIES)):
        lines = (json.dumps({"_id": key, "text": text}) + "\n" for key, text in rows.items())
        (folder / f"{name}.jsonl").write_text("".join(lines))
    judged = "".join(f"{query}\t{document}\t1\n" for query, document in RELEVANT.items())
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + judged)


class Reader:
    """Runs the blocks of one page, one after the other, in one folder and with one memory."""

    def __init__(self, cli, monkeypatch):
        self.cli, self.monkeypatch = cli, monkeypatch
        self.names: dict = {"__name__": "__main__"}

    def follow(self, block: Block, *, slow: bool = False) -> None:
        """Do what a block says; what is marked is parsed only
        (with `slow`, what is slow is run).
        """
        run = not block.mark or (slow and block.mark == "slow")
        if block.title:
            Path(block.title).parent.mkdir(parents=True, exist_ok=True)
            Path(block.title).write_text(block.body, encoding="utf-8")
        if block.language == "toml":
            tomllib.loads(block.body)
        elif block.language == "json":
            json.loads(block.body)
        elif block.language == "python":
            code = compile(block.body, block.title or "block", "exec")
            if run and not block.title:
                exec(code, self.names)
        for command in block.commands:
            self.type(command, run=run)

    def type(self, command: str, *, run: bool) -> None:
        """Type a command line."""
        program, *arguments = dropwhile(ASSIGNED.match, words(command))
        program = program.removeprefix(".venv/bin/")
        if program == "embedlab":
            (self._run if run else parse)(arguments)
        elif program == "export":
            self.monkeypatch.setenv(*arguments[0].split("=", 1))
        elif program == "make":
            assert look_up_target(arguments[0]), command
        elif program == "pip":
            assert_extras_exist(arguments)
        elif program == "python":
            assert_files_exist(arguments)
        elif program in ("source", "git", "pre-commit", "ci/run"):
            pass  # nothing of ours
        elif run:
            subprocess.run(["bash", "-ec", command], check=True)

    def _run(self, arguments: list[str]) -> None:
        target = None
        if ">" in arguments:
            target = Path(arguments[-1])
            arguments = arguments[: arguments.index(">")]
        code, out, err = self.cli(*arguments)
        assert code == 0, (
            f"embedlab {' '.join(arguments)} ends with {code}:\n{out[-1500:]}\n{err[-1500:]}"
        )
        assert "Traceback" not in err, err
        if target:
            target.write_text(out, encoding="utf-8")


def parse(arguments: list[str]) -> None:
    """Parse a command line as typer does, and run nothing.

    Raises:
        click.UsageError: there is no such command or option.
    """
    import typer

    from embedlab import cli

    cli.app.registered_commands.clear()
    cli.app.registered_groups.clear()
    cli._register()
    command, arguments = (
        typer.main.get_command(cli.app),
        [each for each in arguments if each != ">"],
    )
    context = command.make_context("embedlab", arguments, resilient_parsing=False)
    while hasattr(command, "resolve_command"):
        left = (
            [*context._protected_args, *context.args]
            if hasattr(context, "_protected_args")
            else context.args
        )
        name, command, rest = command.resolve_command(context, left)
        context = command.make_context(name, rest, parent=context)


def look_up_target(name: str) -> bool:
    """Whether the Makefile has a target; its commands of embedlab are parsed."""
    answer = subprocess.run(
        ["make", "-n", name], cwd=ROOT, capture_output=True, text=True, check=False
    )
    for line in answer.stdout.splitlines():
        if line.startswith(".venv/bin/embedlab "):
            parse(words(line)[1:])
    return answer.returncode == 0


def assert_extras_exist(arguments: list[str]) -> None:
    """`pip install 'embedlab[a,b]'` and '.[a]' name extras that pyproject.toml has."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    for word in arguments:
        if "[" in word:
            assert set(word.partition("[")[2].rstrip("]").split(",")) <= set(extras), word


def assert_files_exist(arguments: list[str]) -> None:
    """What `python` is given to run, files and modules, is there."""
    for word in arguments:
        if word.startswith(("tests/", "docs/")):
            assert (ROOT / word.partition("::")[0]).exists(), word
    if arguments[:1] == ["-m"]:
        others = (*sys.stdlib_module_names, "pytest", "pip", "embedlab")
        ours = ROOT / arguments[1].replace(".", "/")
        assert arguments[1] in others or ours.is_dir() or ours.with_suffix(".py").is_file(), (
            arguments
        )
