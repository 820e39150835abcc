"""The command line: one file per command, each thin.

Command modules import nothing heavy (torch, mteb, faiss, duckdb, streamlit) at the top, so that
`embedlab --help` answers at once.
"""

import os
import sys
from importlib import import_module

import typer

from embedlab import __version__
from embedlab.cli._command import Command
from embedlab.cli._interrupt import interruptible
from embedlab.errors import explained
from embedlab.terminal import echo

app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="embedlab: a laboratory for text embedders built on LLMs.",
)

# name -> module with a function `command`,
# whose signature is the command's options, or a typer app `commands`.
COMMANDS: list[str] = [
    "eval", "train", "study", "models", "tasks", "doctor", "leaderboard", "compare", "plot",
    "publish", "parity", "runs", "import", "export", "merge", "cache", "grid", "index", "search",
    "serve", "rag", "perplexity", "dashboard",
]  # fmt: skip

# Those that go on where they were stopped when the same is typed again.
GO_ON = ("eval", "rag", "study", "train")


def _register(only: str = "") -> None:
    """Make the commands, or the one that is typed: the options of all take longer than most
    commands.
    """
    for name in [only] if only else COMMANDS:
        module = import_module(f"embedlab.cli.{name.replace('-', '_')}")
        if hasattr(module, "commands"):
            for command in module.commands.registered_commands:
                command.cls = Command
            app.add_typer(module.commands, name=name)
        else:
            app.command(name, cls=Command)(module.command)


def _version(wanted: bool) -> None:
    if wanted:
        echo(f"embedlab {__version__}")
        raise typer.Exit


@app.callback()
def main(
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
    version: bool = typer.Option(
        False, "--version", help="Show the version.", callback=_version, is_eager=True
    ),
) -> None:
    """embedlab: a laboratory for text embedders built on LLMs."""
    if debug:
        os.environ["EMBEDLAB_DEBUG"] = "1"


def run() -> None:
    """The entry point.

    Exit codes: 2 for what the user can mend, with one message; 1 for a fault of the program; 130
    for Ctrl-C.
    """
    typed = next((word for word in sys.argv[1:] if word != "--debug"), "")
    known = typed if typed in COMMANDS else ""
    try:
        with interruptible(goes_on=known in GO_ON):
            _register(known)
            app(prog_name="embedlab")
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if os.environ.get("EMBEDLAB_DEBUG"):
            raise
        problem, hint = explained(error) or (f"{type(error).__name__}: {error}", _FAULT)
        echo(f"Error: {problem}" + (f"\n{hint}" if hint else ""), err=True)
        sys.exit(2 if explained(error) else 1)


_FAULT = (
    "This is a fault of the program. Type `embedlab --debug` before the same command to see where,"
    " and report it."
)
