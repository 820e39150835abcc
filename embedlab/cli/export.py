"""`embedlab export`: results for other programs."""

from pathlib import Path
from typing import Annotated

import typer

from embedlab.cli._json import print_json
from embedlab.cli._options import Db


def command(
    folder: Annotated[Path, typer.Argument(help="Where to write.")],
    form: Annotated[
        str, typer.Option("--format", "-f", help="parquet, csv (one file for each table), or mteb (its result files).")
    ] = "parquet",
    model: Annotated[list[str] | None, typer.Option("--model", "-m", help="Only of this model. Repeatable.")] = None,
    task: Annotated[list[str] | None, typer.Option("--task", "-t", help="Only on this task. Repeatable.")] = None,
    run: Annotated[list[str] | None, typer.Option("--run", help="Only this run's whole id. Repeatable.")] = None,
    db: Db = None,
    as_json: Annotated[bool, typer.Option("--json", help="The paths written, as JSON on standard output.")] = False,
) -> None:
    """Write results as Parquet, CSV, or MTEB result files, which mteb.ResultCache(FOLDER) reads."""
    from embedlab.resources import home
    from leaderboard.exporting import export
    from leaderboard.store import Store

    where = {name: value for name, value in (("model", model), ("task", task), ("id", run)) if value}
    paths = export(Store(db or home() / "results.duckdb"), folder, form, **where)
    if as_json:
        print_json({"files": [str(path) for path in paths]})
    else:
        typer.echo(f"Wrote {len(paths):,} files to {folder}.")
