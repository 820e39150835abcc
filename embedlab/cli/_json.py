"""What `--json` prints."""

from embedlab.terminal import in_json
from leaderboard.plain_json import to_json


def print_json(value: object, *, ascii: bool = True) -> None:
    """Print `value` as JSON on standard output; a figure that is no number is null there."""
    print(in_json(to_json(value, ascii=ascii)))
