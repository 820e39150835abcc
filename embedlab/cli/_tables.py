"""Tables for people: the columns of a leaderboard or a comparison, as text, Markdown or LaTeX."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from embedlab.cli._leaderboard_table import bounds, columns, legend
from embedlab.errors import unknown
from embedlab.terminal import echo, print_table
from leaderboard.tables.known_facts import UNKNOWN
from leaderboard.tables.table import Column, latex, markdown

if TYPE_CHECKING:
    from leaderboard.tables.comparison import Comparison, Pair
    from leaderboard.tables.overall import Overall
    from leaderboard.tables.standings import Standings

_CORRECTIONS = {
    "holm": "Holm-corrected",
    "bh": "Benjamini-Hochberg-corrected",
    "none": "not corrected",
}


_OVERALL = (
    "All tasks together: over queries (or examples) by a t-test with the tasks as strata; over"
    " tasks, as with published results, where scores of single queries are lacking and there are"
    " six tasks or more.",
)


_DIFFER = ("In this the compared runs differ; `embedlab runs diff A B` shows all of it.",)


def in_cell(value: object, listed: int) -> str:
    """A fact or setting as a cell: of a long list the first `listed`; None is unknown."""
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, list):
        return str(value)
    more = f" and {len(value) - listed} more (--json)" if len(value) > listed else ""
    return ", ".join(map(str, value[:listed])) + more


def print_leaderboard(
    standings: "Standings",
    cost: str = "",
    form: str = "text",
    *,
    title: str = "",
    chosen: Sequence[str] = (),
    top: int | None = None,
) -> None:
    """Print the ranking, and below it what the reader must know.

    Args:
        standings: from `leaderboard.tables.standings.rank`.
        cost: a measured cost to show with the Pareto front of mean score against it.
        form: "text", "markdown" or "latex".
        title: what the ranking is of; where results on a part of it alone are there, that is said.
        chosen: names of the columns to show.
        top: how many rows; all by default.
    """
    shown, notes = columns(standings, cost, chosen), legend(standings)
    if top is not None and top < len(standings.rows):
        shown = [each.first(top) for each in shown]
        notes = [f"The first {top} of {len(standings.rows)}.", *notes]
    if title:
        above = ", ".join(filter(None, (title, standings.coverage)))
        notes = [above, *notes]
    print_columns(shown, notes, form)


def print_comparison(comparison: "Comparison", form: str = "text") -> None:
    """Print one line per pair and task, and below it how it was tested."""
    tested = sum(pair.p is not None for pair in comparison.pairs)
    legend = [
        (
            f"{comparison.test} test over {_units(comparison)}, {tested} in all, p"
            f" {_CORRECTIONS[comparison.correction]}; * p <= {1 - comparison.level:.2g};"
            f" {comparison.level:.0%} intervals; d: Cohen's d of paired samples; needed: how many"
            " would show such a difference in 8 of 10 tries."
        ),
        *comparison.notes,
    ]
    print_columns(_of_comparison(comparison), legend if tested else comparison.notes, form)
    if comparison.overall:
        echo("")
        print_columns(_of_overall(comparison), _OVERALL, form)
    if comparison.settings:
        echo("")
        print_columns(_of_settings(comparison), _DIFFER, form)


def _units(comparison: "Comparison") -> str:
    return ", ".join(dict.fromkeys(p.unit for p in comparison.pairs if p.p is not None))


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
            "of",
            ["" if p.queries is None else f"{p.queries:,} {p.unit}" for p in pairs],
            right=True,
            drop=2,
        ),
        Column("needed", [pair.needed for pair in pairs], drop=2),
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
            [bounds(pair.low, pair.high, "+.4f") for pair in pairs],
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


def _of_settings(comparison: "Comparison") -> list[Column]:
    return [
        Column("model", comparison.views),
        *(Column(setting.name, setting.values) for setting in comparison.settings),
    ]


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


def _score(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _p(value: float | None, alpha: float) -> str:
    if value is None:
        return ""
    return ("<0.0001" if value < 0.0001 else f"{value:.4f}") + ("*" if value <= alpha else " ")
