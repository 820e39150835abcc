"""`embedlab perplexity`: how well language models predict held-out text."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from embedlab.cli._json import print_json
from embedlab.cli._options import Device


def command(
    models: Annotated[
        list[str],
        typer.Argument(
            help="Bases (smollm2-135m@layers=12), trained GEMs, hub ids or folders of language"
            " models."
        ),
    ],
    texts: Annotated[
        Path | None,
        typer.Option(
            help="A file with a text on each line; by default docstrings of Python's standard"
            " library."
        ),
    ] = None,
    max_length: Annotated[
        int, typer.Option(min=2, help="The tokens of each text that are read.")
    ] = 128,
    dtype: Annotated[str, typer.Option(help="Of the weights.")] = "float32",
    device: Device = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="JSON on standard output, nothing else.")
    ] = False,
) -> None:
    """Measure the perplexity of language models.

    Such as a GEM's before and after its training.

    What was measured with the same weights and texts is remembered.
    """
    from embedlab import hub
    from embedlab.evaluation import perplexity

    hub.settle()
    given = None if texts is None else perplexity.read_texts(texts)
    source = perplexity.SOURCE if texts is None else texts.name
    found = [
        perplexity.measure(
            model, given, source=source, max_length=max_length, device=device, dtype=dtype
        )
        for model in models
    ]
    if as_json:
        print_json({"perplexities": [asdict(each) for each in found]})
        return

    from embedlab.cli._tables import print_columns
    from leaderboard.tables.table import Column

    print_columns(
        [
            Column("model", [each.model for each in found]),
            Column("perplexity", [f"{each.perplexity:.3f}" for each in found], right=True),
            Column("tokens", [f"{each.tokens:,}" for each in found], right=True),
        ],
        [f"{found[0].texts} texts ({source}), {max_length} tokens of each at most, {dtype}."],
    )
