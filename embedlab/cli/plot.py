"""`embedlab plot`: figures of the results, for a page or a paper."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embedlab.cli import _completion
from embedlab.cli._options import Db
from embedlab.cli.leaderboard import Benchmark, Metric, Split, Tasks, check_tasks

if TYPE_CHECKING:
    from leaderboard.tables.standings import Standings

_WRITES = ("svg", "pdf", "png")
_PPI = 200  # of a PNG: sharp at the width of a page


def command(
    kind: Annotated[
        str,
        typer.Argument(
            autocompletion=_completion.plots,
            help="The mean score against size, price, latency, bytes, speed, any cost, or time;"
            " types (a line per model), forest (differences), ranks (their intervals), correlation"
            " (of tasks), languages.",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="FILE.svg, .pdf or .png; KIND.svg here by default.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            autocompletion=_completion.evaluated,
            help="Only these models, as the leaderboard names them. Repeatable; forest compares the"
            " first with each.",
        ),
    ] = None,
    task: Tasks = None,
    benchmark: Benchmark = "",
    metric: Metric = "main",
    incomplete: Annotated[
        bool, typer.Option("--incomplete", help="Also models that lack tasks.")
    ] = False,
    cost: Annotated[
        str,
        typer.Option(
            autocompletion=_completion.costs, help="The measured cost that the kind `cost` draws."
        ),
    ] = "",
    top: Annotated[
        int, typer.Option(min=2, help="ranks, forest, languages: how many of the first models.")
    ] = 12,
    look: Annotated[str, typer.Option(help="light or dark ground.")] = "light",
    hardware: Annotated[
        str, typer.Option(help="Times and speeds of this machine, as in `leaderboard`.")
    ] = "",
    split: Split = "",
    db: Db = None,
) -> None:
    """Draw a figure of the results.

    The same figures as in the dashboard; figures for a paper keep their text as text.
    """
    from embedlab.errors import UserError, missing_extra, unknown
    from embedlab.terminal import echo

    kinds = _completion.plots("")
    if kind not in kinds:
        raise unknown("figure", kind, kinds, f"Valid: {', '.join(kinds)}.")
    target = out or Path(f"{kind}.svg")
    if target.suffix[1:].lower() not in _WRITES:
        raise UserError(
            f"{target} is no file of a known form.", f"End it with one of: .{', .'.join(_WRITES)}"
        )
    if (kind == "cost") != bool(cost):
        raise UserError("--cost names what the kind `cost` draws.", "Type: plot cost --cost NAME")
    check_tasks(benchmark, task, split)
    try:
        import altair  # noqa: F401
        import vl_convert  # noqa: F401
    except ImportError:
        raise missing_extra("A figure", "plot") from None
    from leaderboard.charts.looks import LOOKS

    if look not in LOOKS:
        raise unknown("look", look, LOOKS, f"Valid: {', '.join(LOOKS)}.")
    asked = {
        "model": model or [], "task": task or None, "benchmark": benchmark, "metric": metric,
        "top": top, "split": split, "incomplete": incomplete, "cost": cost, "hardware": hardware,
        "db": db,
    }  # fmt: skip
    chart, title, notes = _drawn(kind, LOOKS[look], asked)
    _write(chart, title, target, look)
    for line in notes:
        echo(line, err=True)
    echo(f"Wrote {target}.")


def _drawn(kind: str, look: Any, asked: dict[str, Any]) -> tuple[Any, str, list[str]]:
    """The chart, its title, and what has to be known beside it."""
    from embedlab.cli.leaderboard import main_revisions, parts
    from embedlab.resources import home
    from leaderboard.charts import figure_kinds as kinds
    from leaderboard.charts import profiles
    from leaderboard.charts.language_scores import by_language
    from leaderboard.storage.store import Store
    from leaderboard.tables import comparison, standings
    from leaderboard.tables.evaluated_views import read

    store = Store(asked["db"] or home() / "results.duckdb")
    benchmark, top, models = asked["benchmark"], asked["top"], asked["model"]
    which: dict[str, Any] = {
        "tasks": parts(benchmark) if benchmark else standings.tasks_of(store, asked["task"]),
        "metric": asked["metric"],
        "main_revisions": main_revisions() if benchmark else None,
        "split": asked["split"],
    }
    views = read(store, **which)
    chosen = views.select(models) if models else views
    ranked = standings.rank_views(
        store, chosen, incomplete=asked["incomplete"], every_view=bool(models),
        over="auto" if kind == "ranks" else "none", hardware=asked["hardware"],
    )  # fmt: skip
    title = _title(ranked, benchmark)
    if kind == "forest":
        placed = [row.label for row in ranked.rows if row.place is not None]
        names = models or placed[:top]
        if len(names) < 2:
            names = [row.label for row in ranked.rows][:2]
        pairs = [name for other in names[1:] for name in (names[0], other)]
        compared = comparison.compare(store, pairs, planned=True, **which)
        less = names[1] if len(names) == 2 else f"each, {title}"
        title = f"{names[0]} less {less}"
        return kinds.differences(compared), title, compared.notes
    if kind == "languages":
        best = {row.label for row in ranked.rows[:top]}
        few = [view for view in chosen.table.index if chosen.table.at[view, "label"] in best]
        means = by_language(store, chosen.only(few))
        means = means[[row.label for row in ranked.rows[:top]]]
        return profiles.heat(means.rename(columns=_short)), title, ranked.notes
    if kind == "time":
        chart = kinds.over_time(ranked, store, look)
    elif kind == "types":
        chart = kinds.by_type(ranked)
    elif kind == "ranks":
        chart = kinds.rank_intervals(ranked, top)
    elif kind == "correlation":
        chart = kinds.task_correlation(ranked)
    else:
        costs = (asked["cost"],) if kind == "cost" else kinds.COSTS[kind]
        chart = kinds.against_cost(ranked, costs, look)
    return chart, title, ranked.notes


def _title(ranked: "Standings", benchmark: str) -> str:
    """What the figure is of, and of how much of a benchmark."""
    if benchmark:
        return ", ".join(filter(None, (benchmark, ranked.coverage)))
    return ", ".join(ranked.tasks) if len(ranked.tasks) <= 3 else f"{len(ranked.tasks)} tasks"


def _short(name: str) -> str:
    return name.rpartition("/")[2]


def _write(chart: Any, title: str, target: Path, look: str) -> None:
    from embedlab.errors import UserError
    from leaderboard.atomic_files import atomic_write
    from leaderboard.charts.looks import LOOKS, finished

    if not target.parent.is_dir():
        raise UserError(f"There is no folder {target.parent}.", "Make it, or choose another.")
    described, form = finished(chart, LOOKS[look], title), target.suffix[1:].lower()
    with atomic_write(target) as file:
        if form == "png":
            described.save(str(file), format="png", ppi=_PPI)
        else:
            described.save(str(file), format="pdf" if form == "pdf" else "svg")
