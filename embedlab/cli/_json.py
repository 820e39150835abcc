"""What `--json` prints."""

import typer

from leaderboard.plain_json import to_json


def print_json(value: object, *, ascii: bool = True) -> None:
    """Print `value` as JSON on standard output; a figure that is no number is null there."""
    typer.echo(to_json(value, ascii=ascii))
