"""`embedlab compare`: is the difference between models more than chance?"""

from typing import Annotated

import typer

from embedlab.cli import _completion
from embedlab.cli._json import print_json
from embedlab.cli._options import Db, Form, check_form
from embedlab.cli.leaderboard import Metric, Split, Tasks


def command(
    models: Annotated[
        list[str],
        typer.Argument(
            autocompletion=_completion.evaluated,
            help="Two models or more, as `embedlab leaderboard` names them; one "
            'of several views as model@dim=64,index=torch; "a + b" is the mean of two.',
        ),
    ],
    task: Tasks = None,
    metric: Metric = "main",
    test: Annotated[
        str, typer.Option(help="randomisation, bootstrap, t: all paired, over queries.")
    ] = "randomisation",
    correction: Annotated[str, typer.Option(help="holm, bh (Benjamini-Hochberg), none.")] = "holm",
    level: Annotated[
        float, typer.Option(min=0.5, max=0.999, help="Level of the confidence intervals.")
    ] = 0.95,
    pairs: Annotated[
        bool,
        typer.Option(
            "--pairs",
            help="Planned comparisons: only the first with the second, the third with the fourth.",
        ),
    ] = False,
    form: Form = "text",
    split: Split = "",
    db: Db = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="The comparison as JSON on standard output, nothing else."),
    ] = False,
) -> None:
    """Test whether models differ, query by query.

    Shows differences, intervals, corrected p-values, wins and effect sizes.
    """
    from dataclasses import asdict

    from embedlab.cli._tables import print_comparison
    from embedlab.resources import home
    from leaderboard.storage.store import Store
    from leaderboard.tables.comparison import compare

    check_form(form, as_json)
    answer = compare(
        Store(db or home() / "results.duckdb"),
        models,
        task or None,
        metric=metric,
        test=test,
        correction=correction,
        level=level,
        split=split,
        planned=pairs,
    )
    if as_json:
        print_json(asdict(answer))
    else:
        print_comparison(answer, form)
