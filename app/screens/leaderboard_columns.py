"""The leaderboard's columns: which there are, and which stand there together."""

from collections.abc import Sequence
from dataclasses import fields, replace

from app import controls
from app.safe_text import view_of
from app.tables import Link
from leaderboard.tables import known_facts
from leaderboard.tables.known_facts import Facts
from leaderboard.tables.standings import Row, Standings
from leaderboard.tables.table import Column

_FEW_TASKS = 6  # so many have a column each, always
_BOTH = "Mean over the tasks on which the model has own and published results"
_TYPES, _TASKS, _COSTS = "<types>", "<tasks>", "<costs>"
_HUB = "://huggingface.co/"
_FACTS = [field.name.replace("_", " ").capitalize() for field in fields(Facts)]
# Names of columns that are shown together.
SETS = {
    "Uncertainty": [
        "Interval",
        "With other tasks",
        "Places",
        "Group",
        "Tier",
        "Borda",
        "Zero-shot",
        "Kind",
        "View",
    ],
    "Task types": ["Mean by type", _TYPES],
    "Tasks": [_TASKS],
    "Costs": [_COSTS],
    "Facts": [*_FACTS, "Zero-shot"],
    "Origin": ["Source", "Revision", "View", "Views", "Own", "Published", "Own − published"],
}
_OTHER = [
    "Interval", "With other tasks", "Places", "Group", "Tier", "Mean by type", "Borda", "Zero-shot",
    "Kind", "View", "Views", "Source", "Revision", "Own", "Published", "Own − published",
]  # fmt: skip


def types(standings: Standings) -> list[str]:
    """The task types, where there are several."""
    found = standings.type_names
    return found if len(found) > 1 else []


def choices(standings: Standings, costs: dict[str, str]) -> list[str]:
    """The names of all columns that can be chosen; `costs` by the name to show."""
    return [*_OTHER, *_FACTS, *types(standings), *costs, *standings.tasks]


def of_set(name: str, standings: Standings, costs: dict[str, str]) -> list[str]:
    """The columns of a set, few tasks and own beside published results with each."""
    groups = {_TYPES: types(standings), _TASKS: standings.tasks, _COSTS: list(costs)}
    few = standings.tasks if len(standings.tasks) <= _FEW_TASKS else []
    joined = ["Own", "Published", "Own − published"] if any(r.both for r in standings.rows) else []
    listed = [each for column in SETS.get(name, []) for each in groups.get(column, [column])]
    return list(dict.fromkeys([*few, *listed, *joined]))


def columns(
    standings: Standings, rows: list[Row], chosen: Sequence[str], costs: dict[str, str]
) -> list[Column]:
    """The columns that always stand there, and the chosen ones.

    Args:
        standings: the whole ranking.
        rows: those of it that are shown.
        chosen: names out of `choices`.
        costs: measured costs by the name to show.
    """
    several = len(standings.tasks) > 1
    alone = standings.one_each
    names = [row.name if alone else row.label for row in rows]
    addresses = controls.model_links(names) if alone else controls.run_links(names)
    offered = {
        "Mean by type": Column(
            "Mean by type", [row.types if several else None for row in rows], best="max"
        ),
        "Borda": Column(
            "Borda",
            [row.borda if several else None for row in rows],
            best="min",
            help="Rank by Borda count, as MTEB computes it",
        ),
        "Interval": Column(
            f"{standings.level:.0%} interval",
            [_span(row.low, row.high, ".4f") for row in rows],
            help=f"Confidence interval of the mean; resampled: {standings.over}",
            right=True,
        ),
        "With other tasks": Column(
            "With other tasks",
            [_span(row.nested_low, row.nested_high, ".4f") for row in rows],
            help="Confidence interval of the mean where other tasks are drawn as well",
            right=True,
        ),
        "Places": Column(
            "Places",
            [_span(row.best_place, row.worst_place, "d") for row in rows],
            help="Confidence interval of the rank by mean",
            right=True,
        ),
        "Group": Column(
            "Group",
            [row.group for row in rows],
            help="Models that share a letter cannot be told apart",
        ),
        "Tier": Column(
            "Tier",
            [] if any(row.group for row in standings.rows) else [row.tier for row in rows],
            help="It begins with the first model told apart from the first of the tier before",
        ),
        "Zero-shot": Column(
            "Zero-shot %",
            [row.zero_shot for row in rows],
            help="Share of the tasks that the model was not trained on",
        ),
        "Kind": Column("Kind", [row.kind for row in rows]),
        "View": Column(
            "View",
            [view_of(row.layer, row.dim, row.precision, row.index, row.settings) for row in rows],
            help="Layer, dimensions, precision, index, dtype",
        ),
        "Source": Column("Source", [row.source or "computed here" for row in rows]),
        "Revision": Column("Revision", [row.revision[:12] for row in rows]),
        "Own": Column("Own", [row.own for row in rows], help=_BOTH),
        "Published": Column("Published", [row.published for row in rows], help=_BOTH),
        "Own − published": Column(
            "Own − published", [row.difference for row in rows], signed=True, help=_BOTH
        ),
        "Views": Column("Views", [row.views for row in rows], help="Views of the model"),
        **_of_facts(rows),
        **{
            kind: Column(kind, [standings.type_mean(row, kind) for row in rows], best="max")
            for kind in types(standings)
        },
        **{
            name: Column(name, [row.costs.get(cost) for row in rows], digits=1)
            for name, cost in costs.items()
        },
        **{
            task: Column(task, [row.scores.get(task) for row in rows], best="max")
            for task in standings.tasks
        },
    }
    score = "Mean" if several else standings.tasks[0]
    if standings.coverage:
        score += f", {standings.coverage}"
    fixed = [
        Column(
            "Model",
            [*map(Link, names, addresses)],
        ),
        Column(
            "#",
            [row.place for row in rows],
            help="Place among all models, whatever the filters hide",
        ),
        Column(score, [row.mean for row in rows], best="max"),
        (
            Column(
                "Tasks",
                [f"{row.tasks} of {standings.asked}" for row in rows],
            )
            if any(row.tasks < standings.asked for row in standings.rows)
            else Column("Tasks", [])
        ),
    ]
    return [*fixed, *(offered[name] for name in chosen if name in offered and name != score)]


def _of_facts(rows: Sequence[Row]) -> dict[str, Column]:
    """A column of each fact of the models; addresses are links."""
    found = {}
    for name, column in known_facts.columns([row.facts for row in rows]).items():
        cells = column.cells
        if name in ("link", "paper"):
            cells = [each and Link("hub" if _HUB in each else "page", each) for each in cells]
        found[name.capitalize()] = replace(column, name=name.capitalize(), cells=cells)
    return found


def _span(low: float | None, high: float | None, form: str) -> str | None:
    if low is None:
        return None
    return (
        f"{low:{form}}"
        if low == high
        else f"{low:{form}}\u00a0– {high:{form}}".replace(" ", "\u00a0")
    )
