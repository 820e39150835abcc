"""`embedlab grid`: layer x dimension tables of one model, from the results store."""

from typing import TYPE_CHECKING, Annotated

import typer

from embedlab.cli import _completion
from embedlab.cli._json import print_json
from embedlab.cli._options import Db, Form, check_form
from embedlab.cli.leaderboard import Metric
from embedlab.terminal import echo

if TYPE_CHECKING:
    from leaderboard.tables.grids import Grid


def command(
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            autocompletion=_completion.evaluated,
            help="A model with results for several layers or dimensions.",
        ),
    ],
    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task",
            "-t",
            autocompletion=_completion.tasks,
            help="Tasks whose mean is shown. Repeatable; all by default.",
        ),
    ] = None,
    metric: Metric = "main",
    db: Db = None,
    form: Form = "text",
    as_json: Annotated[
        bool, typer.Option("--json", help="The cells as JSON on standard output, nothing else.")
    ] = False,
) -> None:
    """Show how a score depends on layer and dimension.

    * marks the Pareto front.
    """
    from embedlab.errors import UserError
    from embedlab.resources import home
    from leaderboard.storage.store import Store
    from leaderboard.tables.grids import grids

    check_form(form, as_json)
    tables = grids(Store(db or home() / "results.duckdb"), model, task or None, metric=metric)
    if as_json:
        print_json({"grids": [table.cells() for table in tables]})
        return
    if all(table.scores.size == 1 for table in tables):
        raise UserError(
            f"{model} has results for one view only.",
            f"Type: embedlab eval --model {model} --task ... --layers 2,4,6 --dims 32,64,128",
        )

    from embedlab.cli._tables import print_columns
    from leaderboard.tables.table import Column

    for table in tables:
        echo(f"{model} through {table.view}: {table.measure}")
        layers = ["full" if layer is None else str(layer) for layer in table.scores.index]
        print_columns(
            [
                Column("layer \\ dim", layers),
                *(
                    Column(
                        str(dim),
                        [_cell(table, row, column) for row in range(len(layers))],
                        right=True,
                    )
                    for column, dim in enumerate(table.scores.columns)
                ),
            ],
            [
                (
                    "* no other view is as good with as few layers and dimensions; "
                    f"{table.smallest} is the smallest within 1 % of the best."
                ),
                *table.notes,
            ],
            form,
        )


def _cell(table: "Grid", row: int, column: int) -> str:
    score = float(table.scores.to_numpy()[row, column])
    if score != score:  # no number
        return ""
    return f"{score:.4f}{'*' if table.front.to_numpy()[row, column] else ' '}"
