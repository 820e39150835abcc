"""`embedlab tasks`: what models can be evaluated on."""

from pathlib import Path
from typing import Annotated

import typer

from embedlab.cli._json import print_json
from embedlab.tasks import __doc__ as description
from embedlab.terminal import console, echo


def command(
    pattern: Annotated[
        str, typer.Argument(help="Only names that contain this; searches MTEB's too.")
    ] = "",
    kind: Annotated[
        str, typer.Option("--type", help="Only this type: Retrieval, STS, Classification, ...")
    ] = "",
    benchmark: Annotated[str, typer.Option(help="Only the tasks of this benchmark.")] = "",
    data_dir: Annotated[
        Path | None, typer.Option(help="A local mirror; its tasks count as available.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The list as JSON on standard output.")
    ] = False,
) -> None:
    from embedlab.tasks.listing import rows

    listed = rows(pattern, kind, benchmark, data_dir)
    if as_json:
        print_json({"tasks": listed})
        return
    from rich.table import Table

    table = Table()
    for column in ("name", "type", "main score", "data"):
        table.add_column(column, no_wrap=column == "name", overflow="fold")
    for row in listed:
        members = f"{row['tasks']} tasks" if "tasks" in row else row["main_score"]
        table.add_row(row["name"], row["type"], members, row["data"])
    console().print(table)
    if not (pattern or kind or benchmark or data_dir):
        echo(
            "MTEB's tasks: type `embedlab tasks PATTERN`, --type or --benchmark. A BEIR folder's"
            " path works too."
        )


# \b keeps typer from filling the lines of a paragraph: the layout is a table.
command.__doc__ = "List tasks and benchmarks, and where their data are.\n\n" + "\n\n".join(
    f"\b\n{paragraph}" for paragraph in (description or "").strip().split("\n\n")
)
