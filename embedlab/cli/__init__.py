"""The command line: one file per command, each thin.

Command modules import nothing heavy (torch, mteb, faiss, duckdb, streamlit) at the top, so that `embedlab --help`
answers at once.
"""

import os
import sys
from importlib import import_module

import typer

from embedlab.cli._command import Command

app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="embedlab: a laboratory for text embedders built on LLMs.",
)

# name -> module with a function `command`, whose signature is the command's options, or a typer app `commands`.
COMMANDS: list[str] = [
    "eval",
    "train",
    "models",
    "tasks",
    "doctor",
    "leaderboard",
    "compare",
    "runs",
    "import",
    "export",
    "merge",
    "cache",
    "grid",
    "index",
    "search",
    "rag",
    "dashboard",
]


def _register() -> None:
    for name in COMMANDS:
        module = import_module(f"embedlab.cli.{name.replace('-', '_')}")
        if hasattr(module, "commands"):
            for command in module.commands.registered_commands:
                command.cls = Command
            app.add_typer(module.commands, name=name)
        else:
            app.command(name, cls=Command)(module.command)


@app.callback()
def main(debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error.")) -> None:
    """embedlab: a laboratory for text embedders built on LLMs."""
    if debug:
        os.environ["EMBEDLAB_DEBUG"] = "1"


def run() -> None:
    """The entry point: user errors end with one message and exit code 2, Ctrl-C with 130."""
    _register()
    try:
        app()
    except KeyboardInterrupt:
        print("\nInterrupted. What was finished is kept.", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        # UserError, RetrieverError and LeaderboardError: the packages do not import each other, `hint` is their mark.
        if os.environ.get("EMBEDLAB_DEBUG") or not hasattr(error, "hint"):
            raise
        print(f"Error: {error}" + (f"\n{error.hint}" if error.hint else ""), file=sys.stderr)
        sys.exit(2)
