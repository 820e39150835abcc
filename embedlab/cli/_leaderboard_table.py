"""The leaderboard as a table: which columns there are, and which are shown."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from embedlab.errors import unknown
from leaderboard.tables import known_facts
from leaderboard.tables.table import Column

if TYPE_CHECKING:
    from leaderboard.tables.standings import Row, Standings

_TASK_COLUMNS = 6  # up to so many tasks get a column each
_TYPE_COLUMNS = 12
_SETTINGS = ("revision", "source", "index", "layer", "dim", "precision", "settings")
_NOT_WORSE = "†"

# What is left out first where the terminal is narrow.
_LAST, _LATE, _EARLY, _FIRST = 1, 2, 3, 4


def columns(standings: "Standings", cost: str = "", chosen: Sequence[str] = ()) -> list[Column]:
    """The columns to show.

    Args:
        standings: what is shown.
        cost: a measured cost to show with the Pareto front of mean score against it.
        chosen: names of columns; those that tell something by default.

    Raises:
        UserError: there is no such column.
    """
    every = _every(standings)
    pareto = _pareto(standings, cost) if cost else []
    if chosen:
        names = {_plain(name): name for name in every}
        for name in chosen:
            if _plain(name) not in names:
                raise unknown("column", name, tuple(every), f"Valid: {', '.join(every)}.")
        return [*(every[names[_plain(name)]] for name in chosen), *pareto]
    shown = [every[name] for name in _usual(standings) if name in every]
    return [column for column in [*shown, *pareto] if column.filled]


def column_sets(standings: "Standings") -> tuple[dict[str, Column], dict[str, list[str]]]:
    """All columns by name, and which are shown together where there is no command line to name
    them, those that tell something first. A fact that is not known is no text here.
    """
    facts = known_facts.columns([row.facts for row in standings.rows])
    every, types = _every(standings) | facts, standings.type_names
    sets = {
        "Uncertainty": ["interval", "with other tasks", "rank interval", "group", "tier", "Borda"],
        "Task types": ["mean by type", *types] if len(types) > 1 else [],
        "Tasks": standings.tasks if len(standings.tasks) > 1 else [],
        "Facts": list(facts),
        "Costs": list(_costs(standings.rows)),
        "Origin": ["kind", *_SETTINGS, "views", "own", "published", "own - published", "on tasks"],
    }
    shown = {
        name: ["#", "model", "mean", *dict.fromkeys(of_set)]
        for name, of_set in sets.items()
        if any(every[each].filled for each in of_set)
    }
    usual = [name for name in _usual(standings) if name in every]
    return every, {"Overview": usual, **shown}


def legend(standings: "Standings", *, typed: bool = True) -> list[str]:
    """What the reader must know of the figures; where it is `typed`, also what else can be."""
    notes = [*standings.notes]
    if typed and any(row.place is None for row in standings.rows):
        notes.append("Choose tasks that all have (--task), or type --incomplete.")
    if typed and any(row.views > 1 for row in standings.rows) and standings.one_each:
        notes.insert(0, "One row per model: --views shows every view of it.")
    if not standings.over:
        return notes
    return [
        f"Intervals resample {standings.resampled}; {standings.grouped}; {_NOT_WORSE}"
        " cannot be told apart from the best mean.",
        *notes,
    ]


def _usual(standings: "Standings") -> list[str]:
    """The names of the columns that are shown where none are chosen."""
    rows, tasks = standings.rows, standings.tasks
    types = standings.type_names
    joined = any(row.both for row in rows)
    lacking = any(row.tasks < standings.asked for row in rows)
    return [
        "#",
        "model",
        *(name for name in _SETTINGS if _tells(standings, name)),
        "mean",
        "interval",
        "with other tasks",
        "group" if any(row.group for row in rows) else "tier",
        *(["rank interval"] if standings.sort == "mean" else []),
        *(["mean by type", "Borda"] if len(tasks) > 1 else []),
        *(types if 1 < len(types) <= _TYPE_COLUMNS and len(types) < len(tasks) else []),
        *(tasks if 1 < len(tasks) <= _TASK_COLUMNS else []),
        *(["tasks"] if lacking else []),
        *(["own", "published", "own - published", "on tasks"] if joined else []),
        "zero-shot %",
        "texts_per_second",
        "encode_seconds",
    ]


def _every(standings: "Standings") -> dict[str, Column]:
    """All columns by the name that --columns takes."""
    rows, several = standings.rows, len(standings.tasks) > 1
    mean = "mean" if several else standings.tasks[0]
    if standings.coverage:
        mean += f", {standings.coverage}"
    found = {
        "#": Column("#", [row.place for row in rows]),
        "model": Column("model", [row.name for row in rows]),
        "mean": Column(mean, [row.mean for row in rows], best="max", marks=_marks(standings)),
        "interval": Column(
            f"{standings.level:.0%} interval",
            [bounds(row.low, row.high) for row in rows],
            right=True,
            drop=_LAST,
        ),
        "with other tasks": Column(
            "with other tasks",
            [bounds(row.nested_low, row.nested_high) for row in rows],
            right=True,
            drop=_EARLY,
        ),
        "group": Column("group", [row.group for row in rows], drop=_LATE),
        "tier": Column("tier", [row.tier for row in rows], drop=_LATE),
        "rank interval": Column(
            "rank interval",
            [_places(row.best_place, row.worst_place) for row in rows],
            right=True,
            drop=_LATE,
        ),
        "mean by type": Column(
            "mean by type", [row.types for row in rows], best="max", drop=_EARLY
        ),
        "Borda": Column("Borda", [row.borda for row in rows], best="min", drop=_EARLY),
        "tasks": Column(
            "tasks", [f"{row.tasks} of {standings.asked}" for row in rows], right=True, drop=_LAST
        ),
        "own": Column("own", [row.own for row in rows], drop=_LATE),
        "published": Column("published", [row.published for row in rows], drop=_LATE),
        "own - published": Column(
            "own - published", [row.difference for row in rows], signed=True, drop=_LATE
        ),
        "on tasks": Column("on tasks", [row.both or None for row in rows], drop=_EARLY),
        "zero-shot %": Column("zero-shot %", [row.zero_shot for row in rows], drop=_FIRST),
        "views": Column("views", [row.views for row in rows], drop=_FIRST),
        "kind": Column("kind", [row.kind for row in rows], drop=_EARLY),
        **{
            name: Column(name, [_setting(getattr(row, name)) for row in rows], drop=_EARLY)
            for name in _SETTINGS
        },
    }
    for kind in standings.type_names:
        found[kind] = Column(
            kind, [standings.type_mean(row, kind) for row in rows], best="max", drop=_LATE
        )
    for task in standings.tasks:
        found[task] = Column(task, [row.scores.get(task) for row in rows], best="max", drop=_LATE)
    facts = known_facts.columns([row.facts for row in rows], known_facts.UNKNOWN)
    return found | _costs(rows) | facts


def _plain(name: str) -> str:
    """A column's name in any case; fields of --where are columns as well: max_tokens."""
    return name.lower().replace("_", " ")


def _costs(rows: "Sequence[Row]") -> dict[str, Column]:
    measured = sorted({name for row in rows for name in row.costs})
    short = {"texts_per_second": ("texts/s", 0), "encode_seconds": ("encode s", 1)}
    found = {}
    for name in measured:
        shown, digits = short.get(name, (name, 3))
        cells = [row.costs.get(name) for row in rows]
        found[name] = Column(shown, cells, digits=digits, drop=_EARLY)
    return found


def _pareto(standings: "Standings", cost: str) -> list[Column]:
    from leaderboard.tables.standings import front

    best = front(standings, cost)
    costs = [row.costs.get(cost) for row in standings.rows]
    return [Column(cost, costs, digits=3), Column("Pareto", ["*" if each else "" for each in best])]


def _marks(standings: "Standings") -> list[str]:
    """Behind the mean of those that cannot be told apart from the best."""
    alike = [row for row in standings.rows if row.like_best and row.mean is not None]
    best = max(alike, key=_mean, default=None)
    return [_NOT_WORSE if row in alike and row is not best else "" for row in standings.rows]


def _mean(row: "Row") -> float:
    return row.mean or 0.0


def _tells(standings: "Standings", name: str) -> bool:
    """Whether a setting differs; a revision and what else shaped scores only where a model stands
    there with two, a source only where own results stand beside published ones.
    """
    rows = standings.rows
    if name == "settings":
        return any(part in row.label for row in rows for part in row.settings.split(",") if part)
    differs = len({getattr(row, name) for row in rows}) > 1
    if name == "revision":
        return any(f"{name}=" in row.label for row in rows) and not standings.one_each
    return any(f"{name}=" in row.label for row in rows) or differs


def bounds(low: float | None, high: float | None, form: str = ".4f") -> str:
    """An interval as a cell of a table."""
    return "" if low is None else f"{low:{form}} ... {high:{form}}"


def _places(best: int | None, worst: int | None) -> str:
    return "" if best is None else f"{best}" if best == worst else f"{best}-{worst}"


def _setting(value: object) -> str:
    return "" if value is None else str(value)
