"""`embedlab export`: results for other programs."""

from pathlib import Path
from typing import Annotated

import typer

from embedlab.cli._json import print_json
from embedlab.cli._options import Db, OfModels, OnTasks
from embedlab.terminal import echo


def command(
    folder: Annotated[Path, typer.Argument(help="Where to write.")],
    form: Annotated[
        str,
        typer.Option(
            "--format",
            "-f",
            help=(
                "parquet, csv (one file for each table), mteb (its result files), trec (runs and"
                " qrels)."
            ),
        ),
    ] = "parquet",
    model: OfModels = None,
    task: OnTasks = None,
    run: Annotated[
        list[str] | None,
        typer.Option("--run", help="Only this run: its id, or the beginning of it. Repeatable."),
    ] = None,
    db: Db = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The paths written, as JSON on standard output.")
    ] = False,
) -> None:
    """Write results for other programs.

    As Parquet, CSV, MTEB result files (which mteb.ResultCache(FOLDER) reads), TREC runs and qrels.
    """
    from embedlab.resources import home
    from leaderboard.exchange.exporting import export
    from leaderboard.storage.store import Store
    from leaderboard.tables.aggregates import aggregates, of_task
    from leaderboard.tables.filtering import refuse_absent

    tasks = [name for given in task or () for name in of_task(given)]
    store = Store(db or home() / "results.duckdb")
    refuse_absent(
        store, model=model or [], task=[name for name in task or () if name not in aggregates()]
    )
    ids = [store.run(id).id for id in run or ()]
    where = {
        name: value for name, value in (("model", model), ("task", tasks), ("id", ids)) if value
    }
    paths = export(store, folder, form, **where)
    if as_json:
        print_json({"files": [str(path) for path in paths]})
    else:
        echo(f"Wrote {len(paths):,} files to {folder}.")
