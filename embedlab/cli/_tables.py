"""Tables for people: the columns of a leaderboard or a comparison, as text, Markdown or LaTeX."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from embedlab.errors import unknown
from embedlab.terminal import echo, print_table
from leaderboard.tables.table import Column, latex, markdown

if TYPE_CHECKING:
    from leaderboard.tables.comparison import Comparison, Pair
    from leaderboard.tables.overall import Overall
    from leaderboard.tables.standings import Row, Standings

# Up to so many tasks get a column each.
_TASK_COLUMNS = 6
_CORRECTIONS = {
    "holm": "Holm-corrected",
    "bh": "Benjamini-Hochberg-corrected",
    "none": "not corrected",
}


_OVERALL = (
    "All tasks together: over queries by a t-test with the tasks as strata; over tasks where"
    " per-query scores are lacking and there are six or more.",
)


def print_leaderboard(standings: "Standings", cost: str = "", form: str = "text") -> None:
    """Print the ranking, and below it what the reader must know.

    Args:
        standings: from `leaderboard.tables.standings.rank`.
        cost: a measured cost to show with the Pareto front of mean score against it.
        form: "text", "markdown" or "latex".
    """
    print_columns(_of_standings(standings, cost), _legend(standings), form)


def print_comparison(comparison: "Comparison", form: str = "text") -> None:
    """Print one line per pair and task, and below it how it was tested."""
    tested = sum(pair.p is not None for pair in comparison.pairs)
    legend = [
        (
            f"{comparison.test} test over queries, {tested} in all, p"
            f" {_CORRECTIONS[comparison.correction]}; * p <= {1 - comparison.level:.2g};"
            f" {comparison.level:.0%} intervals; d: Cohen's d of paired samples."
        ),
        *comparison.notes,
    ]
    print_columns(_of_comparison(comparison), legend if tested else comparison.notes, form)
    if comparison.overall:
        echo("")
        print_columns(_of_overall(comparison), _OVERALL, form)


def _of_standings(standings: "Standings", cost: str) -> list[Column]:
    rows, several = standings.rows, len(standings.tasks) > 1
    incomplete = any(row.tasks < len(standings.tasks) for row in rows)
    columns = [
        Column("#", [_number(row.place) for row in rows], right=True),
        Column("model", [row.model for row in rows]),
        *(
            Column(name, [_setting(getattr(row, name)) for row in rows])
            for name in ("revision", "source", "index", "layer", "dim", "precision", "settings")
            if _tells(rows, name)
        ),
        Column(
            "mean" if several else standings.tasks[0],
            [_score(row.mean) for row in rows],
            right=True,
        ),
        Column(
            f"{standings.level:.0%} interval",
            [_bounds(row.low, row.high) for row in rows],
            right=True,
        ),
        Column("group", [row.group for row in rows]),
    ]
    if standings.sort == "mean":
        columns.append(
            Column(
                "rank interval",
                [_places(row.best_place, row.worst_place) for row in rows],
                right=True,
            )
        )
    if several:
        shown = standings.tasks if len(standings.tasks) <= _TASK_COLUMNS else []
        columns += [
            Column("mean by type", [_score(row.types) for row in rows], right=True),
            Column("Borda", [_number(row.borda) for row in rows], right=True),
            *(
                Column(task, [_score(row.scores.get(task)) for row in rows], right=True)
                for task in shown
            ),
        ]
    if incomplete:
        columns.append(
            Column("tasks", [f"{row.tasks} of {len(standings.tasks)}" for row in rows], right=True)
        )
    columns += [
        Column("zero-shot %", [_number(row.zero_shot) for row in rows], right=True),
        Column("texts/s", [_number(row.costs.get("texts_per_second")) for row in rows], right=True),
        Column(
            "encode s", [_number(row.costs.get("encode_seconds"), 1) for row in rows], right=True
        ),
    ]
    if cost:
        from leaderboard.tables.standings import front

        columns += [
            Column(cost, [_number(row.costs.get(cost), 3) for row in rows], right=True),
            Column("Pareto", ["*" if best else "" for best in front(standings, cost)]),
        ]
    return [column for column in columns if any(column.cells)]


def _legend(standings: "Standings") -> list[str]:
    notes = [*standings.notes]
    if any(row.place is None for row in standings.rows):
        notes.append("Choose tasks that all have (--task), or type --incomplete.")
    if not standings.over:
        return notes
    what = "queries and tasks" if standings.over == "both" else standings.over
    return [
        (
            f"Intervals resample {what}; models that share a letter cannot be told apart at"
            f" {1 - standings.level:.2g}."
        ),
        *notes,
    ]


def _of_comparison(comparison: "Comparison") -> list[Column]:
    from leaderboard.measures import shown

    pairs = comparison.pairs
    columns = [
        Column("task", [pair.task for pair in pairs]),
        *(
            Column(name, [getattr(pair, name) for pair in pairs])
            for name in ("split", "subset")
            if len({(pair.task, getattr(pair, name)) for pair in pairs})
            > len({pair.task for pair in pairs})
        ),
        Column("metric", [shown(pair.metric) for pair in pairs]),
        *_tested(pairs, comparison.level),
        Column(
            "win/tie/loss",
            ["" if p.wins is None else f"{p.wins}/{p.ties}/{p.losses}" for p in pairs],
            right=True,
        ),
        Column(
            "d",
            ["" if pair.effect_size is None else f"{pair.effect_size:+.2f}" for pair in pairs],
            right=True,
        ),
    ]
    return [column for column in columns if any(column.cells)]


def _tested(pairs: "Sequence[Pair | Overall]", level: float) -> list[Column]:
    """The columns of a tested difference: both sides, their scores, interval and p."""
    return [
        Column("A", [pair.first for pair in pairs]),
        Column("B", [pair.second for pair in pairs]),
        Column("score A", [_score(pair.first_score) for pair in pairs], right=True),
        Column("score B", [_score(pair.second_score) for pair in pairs], right=True),
        Column("A - B", [f"{pair.difference:+.4f}" for pair in pairs], right=True),
        Column(
            f"{level:.0%} interval",
            [_bounds(pair.low, pair.high, "+.4f") for pair in pairs],
            right=True,
        ),
        Column("p", [_p(pair.corrected_p, 1 - level) for pair in pairs], right=True),
    ]


def _of_overall(comparison: "Comparison") -> list[Column]:
    pairs = comparison.overall
    columns = [
        Column("tasks", [f"mean over {pair.tasks}" for pair in pairs]),
        *_tested(pairs, comparison.level),
        Column("over", [pair.over for pair in pairs]),
    ]
    return [column for column in columns if any(column.cells)]


def print_columns(
    columns: Sequence[Column], legend: Iterable[str] = (), form: str = "text"
) -> None:
    """Print a table and the lines below it, in one of the forms text, markdown, latex."""
    if form not in FORMS:
        raise unknown("format", form, FORMS, f"Choose one of: {', '.join(FORMS)}.")
    if form == "text":
        print_table(columns)
        for line in legend:
            echo(line)
    else:
        echo(markdown(columns, legend) if form == "markdown" else latex(columns, legend))


FORMS = ("text", "markdown", "latex")


def _tells(rows: "list[Row]", name: str) -> bool:
    """Whether a setting differs;
    a revision and what else shaped scores only where a model stands there with two.
    """
    if name == "settings":
        return any(part in row.label for row in rows for part in row.settings.split(",") if part)
    differs = len({getattr(row, name) for row in rows}) > 1
    return any(f"{name}=" in row.label for row in rows) or (differs and name != "revision")


def _score(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _number(value: float | None, digits: int = 0) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def _setting(value: object) -> str:
    return "" if value is None else str(value)


def _bounds(low: float | None, high: float | None, form: str = ".4f") -> str:
    return "" if low is None else f"{low:{form}} ... {high:{form}}"


def _places(best: int | None, worst: int | None) -> str:
    return "" if best is None else f"{best}" if best == worst else f"{best} ... {worst}"


def _p(value: float | None, alpha: float) -> str:
    if value is None:
        return ""
    return ("<0.0001" if value < 0.0001 else f"{value:.4f}") + ("*" if value <= alpha else " ")
