"""`embedlab merge`: another results store into this one."""

from pathlib import Path
from typing import Annotated

import typer

from embedlab.cli._json import print_json
from embedlab.cli._options import Db
from embedlab.terminal import echo


def command(
    other: Annotated[
        Path, typer.Argument(help="The other store's file; its .files folder lies beside it.")
    ],
    db: Db = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The counts as JSON on standard output.")
    ] = False,
) -> None:
    """Add the runs of another results store.

    With rankings, texts and failures; what is there already stays as it is.
    """
    from embedlab.resources import home
    from leaderboard.exchange.merging import merge
    from leaderboard.storage.store import Store

    merged = merge(Store(db or home() / "results.duckdb"), other)
    if as_json:
        print_json(merged._asdict())
    else:
        echo(
            f"Added {merged.runs:,} runs and {merged.failures:,} failures; {merged.known:,} runs"
            " were there already."
        )
