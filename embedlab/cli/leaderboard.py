"""`embedlab leaderboard`: the results, ranked."""

from typing import Annotated

import typer

from embedlab.cli import _completion
from embedlab.cli._json import print_json
from embedlab.cli._options import Db, Form, check_form

Tasks = Annotated[
    list[str] | None,
    typer.Option(
        "--task",
        "-t",
        autocompletion=_completion.tasks,
        help="A task in the store. Repeatable; all by default.",
    ),
]
Split = Annotated[
    str, typer.Option(help="Scores on this split instead of each task's own, such as dev.")
]


def command(
    task: Tasks = None,
    benchmark: Annotated[
        str,
        typer.Option(
            "--benchmark",
            "-b",
            autocompletion=_completion.benchmarks,
            help='stdlib, "MTEB(eng, v2)", ...: its tasks.',
        ),
    ] = "",
    sort: Annotated[
        str, typer.Option(help="mean (over tasks), types (mean over task types), borda.")
    ] = "mean",
    metric: Annotated[
        str, typer.Option(help="nDCG@10, ndcg_at_10, ...; each task's main metric by default.")
    ] = "main",
    incomplete: Annotated[
        bool, typer.Option("--incomplete", help="Also rank models that lack tasks.")
    ] = False,
    over: Annotated[
        str, typer.Option(help="What intervals resample: auto, queries, tasks, both, none.")
    ] = "auto",
    level: Annotated[
        float | None,
        typer.Option(
            min=0.5, max=0.999, help="Level of the confidence intervals; 0.95 by default."
        ),
    ] = None,
    pareto: Annotated[
        str,
        typer.Option(
            help=(
                "A measured cost, such as texts_per_second: shows who is on the Pareto front of the"
                " score against it."
            )
        ),
    ] = "",
    form: Form = "text",
    split: Split = "",
    db: Db = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The ranking as JSON on standard output, nothing else.")
    ] = False,
) -> None:
    """Rank models, with intervals, groups and costs.

    Models of one group cannot be told apart.
    """
    from dataclasses import asdict

    from embedlab.cli._tables import print_leaderboard
    from embedlab.errors import UserError
    from embedlab.resources import home
    from leaderboard.storage.store import Store
    from leaderboard.tables.standings import front, rank

    check_form(form, as_json)
    if benchmark and (task or split):
        raise UserError(
            f"--benchmark and {'--task' if task else '--split'} exclude each other.",
            "A benchmark says which tasks and splits count. Type one of them.",
        )
    if level and over == "none":
        raise UserError(
            "--level is of the intervals, and --over none asks for none.", "Type one of them."
        )
    standings = rank(
        Store(db or home() / "results.duckdb"), parts(benchmark) if benchmark else task or None,
        sort=sort, metric=metric, incomplete=incomplete, over=over, level=level or 0.95,
        main_revisions=main_revisions() if benchmark else None,
        split=split,
    )  # fmt: skip
    if not as_json:
        print_leaderboard(standings, pareto, form)
        return
    answer = asdict(standings)
    if pareto:
        for row, best in zip(answer["rows"], front(standings, pareto), strict=True):
            row["pareto"] = best
    print_json(answer)


def parts(benchmark: str) -> dict[str, list[tuple[str, str]]]:
    """The (split, subset) pairs of each task of a benchmark; an aggregate is one task."""
    from embedlab.tasks.catalogue import find

    return {
        task.metadata.name: [
            (split, subset) for split in task.eval_splits for subset in task.hf_subsets
        ]
        for task in find(benchmark, apart=False)
    }


def main_revisions() -> dict[str, str]:
    """The revision of each model that mteb's leaderboard shows first."""
    from mteb import get_model_metas

    return {meta.name: meta.revision for meta in get_model_metas() if meta.name and meta.revision}
