"""What a ranking's rows can be filtered by: `parameters < 1e9 and licence in ("mit", "gemma")`.

`retrievers.where.passing` reads the conditions; the command line and the dashboard ask it alike.
"""

from dataclasses import asdict
from typing import Any

from leaderboard.tables.ranked_rows import Row

WHAT, KEY = "model", "model"
# Of the fields that every ranking has, also where no row has a value.
KINDS = {
    **dict.fromkeys(
        ("parameters", "dimensions", "max_tokens", "zero_shot", "place", "mean", "tasks", "layer",
         "dim"), "number"),
    **dict.fromkeys(("licence", "release_date", "link", "paper", "kind", "revision", "source",
                     "precision", "index"), "text"),
    **dict.fromkeys(("open_weights", "instruction_tuned"), "boolean"),
    "languages": "list of texts",
}  # fmt: skip
_OF_ROW = ("place", "mean", "tasks", "zero_shot", "kind", "revision", "source", "layer", "dim",
           "precision", "index")  # fmt: skip


def fields(row: Row) -> dict[str, Any]:
    """What a condition may name: the model and what is known of it, its place and scores by task,
    measured costs, and its view.
    """
    return {
        **row.scores,
        **row.costs,
        **{name: getattr(row, name) for name in _OF_ROW},
        **asdict(row.facts),
        "model": row.name,
    }
