"""`embedlab leaderboard`: the results, ranked."""

from typing import TYPE_CHECKING, Annotated

import typer

from embedlab.cli import _completion
from embedlab.cli._json import print_json
from embedlab.cli._options import Db, Form, check_form

if TYPE_CHECKING:
    from leaderboard.tables.standings import Standings

Tasks = Annotated[
    list[str] | None,
    typer.Option(
        "--task",
        "-t",
        autocompletion=_completion.tasks,
        help="A task in the store. Repeatable; all by default.",
    ),
]
Benchmark = Annotated[
    str,
    typer.Option(
        "--benchmark",
        "-b",
        autocompletion=_completion.benchmarks,
        help='stdlib, "MTEB(eng, v2)", ...: its tasks.',
    ),
]
Metric = Annotated[
    str, typer.Option(help="nDCG@10, ndcg_at_10, ...; each task's main metric by default.")
]
Split = Annotated[
    str, typer.Option(help="Scores on this split instead of each task's own, such as dev.")
]


def command(
    task: Tasks = None,
    benchmark: Benchmark = "",
    sort: Annotated[
        str,
        typer.Option(
            autocompletion=_completion.orders,
            help="mean (over tasks), types (mean over task types), borda.",
        ),
    ] = "mean",
    metric: Metric = "main",
    incomplete: Annotated[
        bool, typer.Option("--incomplete", help="Also rank models that lack tasks.")
    ] = False,
    over: Annotated[
        str,
        typer.Option(
            autocompletion=_completion.resampled,
            help="What intervals resample: auto, queries, tasks, both, none.",
        ),
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
            autocompletion=_completion.costs,
            help=(
                "A measured cost, such as texts_per_second: shows who is on the Pareto front of the"
                " score against it."
            ),
        ),
    ] = "",
    views: Annotated[
        bool,
        typer.Option(
            "--views",
            help="A row for each view of a model (layer, dim, index, ...), not for each model.",
        ),
    ] = False,
    column: Annotated[
        str,
        typer.Option(
            "--columns",
            autocompletion=_completion.columns,
            help="Which columns, in this order, separated by commas: model, mean, a task, a task"
            " type, a measured cost, ...",
        ),
    ] = "",
    top: Annotated[
        int | None, typer.Option(min=1, help="Only the first so many; all by default.")
    ] = None,
    where: Annotated[
        str,
        typer.Option(
            help='Only models of which this is true: \'parameters < 1e9 and licence in ("mit",'
            ' "apache-2.0")\'. Places, intervals and groups stay those among all.'
        ),
    ] = "",
    hardware: Annotated[
        str,
        typer.Option(
            help="Times and speeds measured on this machine (part of its name); on that of the most"
            " models by default."
        ),
    ] = "",
    matrix: Annotated[
        bool,
        typer.Option(
            "--matrix", help="Instead of scores, which models can be told apart, pair by pair."
        ),
    ] = False,
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

    from embedlab.cli._pairs_table import pairs
    from embedlab.cli._tables import print_columns, print_leaderboard
    from embedlab.errors import UserError
    from embedlab.resources import home
    from leaderboard.storage.store import Store
    from leaderboard.tables.standings import front, rank

    check_form(form, as_json)
    check_tasks(benchmark, task, split)
    if column and as_json:
        raise UserError("--json gives every column; --columns chooses.", "Type one of them.")
    if matrix and (column or pareto or over == "none"):
        other = "--columns" if column else "--pareto" if pareto else "--over none"
        raise UserError(f"--matrix and {other} exclude each other.", "Type one of them.")
    if level and over == "none":
        raise UserError(
            "--level is of the intervals, and --over none asks for none.", "Type one of them."
        )
    standings = rank(
        Store(db or home() / "results.duckdb"), parts(benchmark) if benchmark else task or None,
        sort=sort, metric=metric, incomplete=incomplete, over=over, level=level or 0.95,
        main_revisions=main_revisions() if benchmark else None,
        split=split, every_view=views, hardware=hardware, matrix=matrix,
    )  # fmt: skip
    if where:
        standings = narrowed(standings, where)
    chosen = [name for name in (part.strip() for part in column.split(",")) if name]
    best = front(standings, pareto) if pareto else None
    if matrix and not as_json:
        print_columns(*pairs(standings, top), form)
        return
    if not as_json:
        print_leaderboard(standings, pareto, form, title=benchmark, chosen=chosen, top=top)
        return
    answer = {**asdict(standings), "benchmark": benchmark}
    for row, is_best in zip(answer["rows"], best or (), strict=False):
        row["pareto"] = is_best
    print_json({**answer, "rows": answer["rows"][:top]})


def narrowed(standings: "Standings", where: str) -> "Standings":
    """The ranking with those rows alone of which a condition is true, and a note of how many.

    Raises:
        RetrieverError: the condition is malformed, or names a field that no model has.
    """
    from dataclasses import replace

    from leaderboard.tables.row_fields import KEY, KINDS, WHAT, fields
    from retrievers.where import passing

    rows = standings.rows
    passed = passing(where, [fields(row) for row in rows], KINDS, WHAT, KEY)
    note = f"{len(passed)} of {len(rows)} rows are so: {where}. What is unknown is not so."
    return replace(standings, rows=[rows[at] for at in passed], notes=[note, *standings.notes])


def check_tasks(benchmark: str, task: list[str] | None, split: str) -> None:
    """Refuse tasks or a split beside a benchmark, which says itself what they are.

    Raises:
        UserError: both were typed.
    """
    from embedlab.errors import UserError

    if benchmark and (task or split):
        raise UserError(
            f"--benchmark and {'--task' if task else '--split'} exclude each other.",
            "A benchmark says which tasks and splits count. Type one of them.",
        )


def parts(benchmark: str) -> dict[str, list[tuple[str, str]]]:
    """The (split, subset) pairs of each task of a benchmark; an aggregate is one task."""
    from embedlab.tasks import benchmark_parts

    known = benchmark_parts.known()
    name = known.named(benchmark)
    return known.parts[name] if name else benchmark_parts.of(benchmark)


def main_revisions() -> dict[str, str]:
    """The revision of each model that mteb's leaderboard shows first."""
    from embedlab.tasks import benchmark_parts

    return benchmark_parts.known().main_revisions
