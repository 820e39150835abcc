"""The tables of models under several prompts."""

from pathlib import Path
from typing import TYPE_CHECKING

from embedlab.terminal import echo

if TYPE_CHECKING:
    from leaderboard.tables.prompt_spread import PromptSpread


def print_spread(spread: "PromptSpread", db: Path) -> None:
    """Print every prompt beside the model's own, the spread, and the places of the models."""
    from embedlab.cli._tables import print_columns
    from leaderboard.measures import shown
    from leaderboard.tables.prompt_spread import OWN
    from leaderboard.tables.table import Column

    prompted, spreads, ranks = spread.prompted, spread.spreads, spread.ranks
    parts = len({(each.task, each.part) for each in spreads}) > len({s.task for s in spreads})
    several = len({each.model for each in spreads}) > 1

    def number(title: str, values: list[float | None], form: str = ".4f") -> Column:
        cells = ["" if value is None else format(value, form) for value in values]
        return Column(title, cells, right=True)

    print_columns(
        [
            Column("task", [each.task for each in prompted]),
            *([Column("part", [each.part for each in prompted])] if parts else []),
            *([Column("model", [each.model for each in prompted])] if several else []),
            Column("prompt", [each.prompt for each in prompted]),
            Column("metric", [shown(each.metric) for each in prompted]),
            number("score", [each.score for each in prompted]),
            number(f"- {OWN}", [each.difference for each in prompted], "+.4f"),
            number("p", [each.p for each in prompted]),
            number(f"p ({spread.correction})", [each.corrected_p for each in prompted]),
        ],
        [f"Against the model's own prompts; paired {spread.test} test over queries."],
    )
    echo("")
    print_columns(
        [
            Column("task", [each.task for each in spreads]),
            *([Column("part", [each.part for each in spreads])] if parts else []),
            Column("model", [each.model for each in spreads]),
            number("prompts", [each.prompts for each in spreads], "d"),
            number(OWN, [each.own for each in spreads]),
            number("min", [each.minimum for each in spreads]),
            number("median", [each.median for each in spreads]),
            number("max", [each.maximum for each in spreads]),
            number("sd", [each.sd for each in spreads]),
        ]
    )
    if ranks:
        echo("")
        print_columns(
            [
                Column("model", [each.model for each in ranks]),
                number(f"place, {OWN}", [each.own for each in ranks], "d"),
                number("best", [each.best for each in ranks], "d"),
                number("worst", [each.worst for each in ranks], "d"),
                *(
                    number(prompt, [each.by_prompt[prompt] for each in ranks], "d")
                    for prompt in ranks[0].by_prompt
                ),
            ],
            ["Places by the mean over tasks, when all models are asked under the same prompt."],
        )
    echo(f"Recorded in {db}.")
