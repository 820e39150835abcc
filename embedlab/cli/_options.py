"""Options that several commands share."""

from dataclasses import fields
from pathlib import Path
from typing import Annotated

import typer

from embedlab.cli import _completion
from embedlab.options import LoadingOptions

_LOADING = {each.name: each.metadata["help"] for each in fields(LoadingOptions)}
Device = Annotated[str | None, typer.Option(help=_LOADING["device"])]
NamedModels = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        help="The model of an index that is a file of code (FILE.py:Class), or behind a server on"
        " another machine; no other needs it.",
    ),
]
OfModels = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        "-m",
        autocompletion=_completion.evaluated,
        help="Only of this model. Repeatable.",
    ),
]
OnTasks = Annotated[
    list[str] | None,
    typer.Option(
        "--task", "-t", autocompletion=_completion.tasks, help="Only on this task. Repeatable."
    ),
]
Db = Annotated[
    Path | None, typer.Option(help="The results store; EMBEDLAB_HOME/results.duckdb by default.")
]
Form = Annotated[str, typer.Option("--format", help="text, markdown, latex.")]


def check_form(form: str, as_json: bool) -> None:
    """Refuse a form that JSON would leave without effect."""
    if as_json and form != "text":
        from embedlab.errors import UserError

        raise UserError("--json and --format exclude each other.", "Type one of them.")
