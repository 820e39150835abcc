"""`embedlab merge`: other results stores into this one."""

import re
from pathlib import Path
from typing import Annotated

import typer

from embedlab.cli._json import print_json
from embedlab.cli._options import Db
from embedlab.terminal import echo


def command(
    others: Annotated[
        list[Path],
        typer.Argument(
            metavar="OTHER...",
            help="The other stores' files; the .files folder of each lies beside it.",
        ),
    ],
    db: Db = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The counts as JSON on standard output.")
    ] = False,
) -> None:
    """Add the runs of other results stores.

    With rankings, texts and failures; what is there already stays as it is. Each store is added
    whole or not at all: one that cannot be used ends it, and the command can be typed again.
    """
    from embedlab.resources import home
    from leaderboard.exchange.merging import Merged, merge
    from leaderboard.storage.store import Store

    for lacking in _absent_shares(others):
        echo(f"{lacking} is not among them: its share of the plan is missing.", err=True)
    store = Store(db or home() / "results.duckdb")
    merged = Merged(*map(sum, zip(*(merge(store, other) for other in others), strict=True)))
    if as_json:
        print_json(merged._asdict())
    else:
        echo(
            f"Added {merged.runs:,} runs and {merged.failures:,} failures; {merged.known:,} runs"
            " were there already."
        )


def _absent_shares(stores: list[Path]) -> list[str]:
    """The stores of `eval --array` that are lacking beside those of other shares."""
    found = [re.fullmatch(r"(.*-)(\d+)(-of-(\d{1,6})\b.*)", store.name) for store in stores]
    whole = {
        f"{share[1]}{number}{share[3]}"
        for share in found
        if share and len(stores) > 1
        for number in range(int(share[4]))
    }
    return sorted(whole - {store.name for store in stores})
