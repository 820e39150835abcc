"""A ranking as values: one row for each model or view, and what is known of it."""

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from leaderboard.tables.known_facts import Facts, facts_of


@dataclass(frozen=True)
class Row:
    """One view of a model.
    None where a value is unknown or would compare different sets of tasks.
    """

    label: str
    model: str
    name: str  # of the model, the same for own results and for published ones under a hub name
    revision: str
    # Empty: computed here;
    # else the kind of file it was imported from ("mteb-external": self-reported).
    source: str
    kind: str
    layer: int | None
    dim: int | None
    precision: str
    settings: str  # what else shapes scores, as dtype=bfloat16
    index: str
    place: int | None  # by the chosen order; None for a view that lacks tasks
    tasks: int  # how many of the tasks it has
    scores: dict[str, float]  # by task
    mean: float | None
    types: float | None  # mean over task types
    borda: int | None
    low: float | None = None  # confidence interval of the mean
    high: float | None = None
    # Of a mean over six tasks or more, where other tasks too, and within them other queries, are
    # drawn (hierarchical bootstrap); None where `low` and `high` are not over queries alone.
    nested_low: float | None = None
    nested_high: float | None = None
    best_place: int | None = None  # confidence interval of the rank by mean
    worst_place: int | None = None
    group: str = ""  # views that share a letter cannot be told apart; of a dozen views or fewer
    tier: int | None = None  # it begins with the first view told apart from the first one before
    like_best: bool | None = None  # whether it cannot be told apart from the best mean
    p_values: dict[str, float] = field(default_factory=dict)  # against each view; where asked for
    zero_shot: int | None = None  # percent of the tasks that it was not trained on
    costs: dict[str, float] = field(default_factory=dict)
    # Of the model, over the tasks that it has own and published results on:
    own: float | None = None
    published: float | None = None
    difference: float | None = None  # own less published
    both: int = 0  # how many tasks these are
    views: int = 1  # how many views of the model there are
    facts: Facts = field(default_factory=Facts)


@dataclass(frozen=True)
class Standings:
    """Rows best first, views that lack tasks last; `notes` say what the reader must know of them.

    over: what the intervals and letters resample, "queries", "tasks" or "both"; empty where there
    are none.
    """

    rows: list[Row]
    tasks: list[str]
    sort: str
    over: str
    level: float
    notes: list[str]
    asked: int = 0  # tasks, with those that nothing has results on
    types: dict[str, str] = field(default_factory=dict)  # of each task

    @property
    def coverage(self) -> str:
        """ "38 of 67 tasks", where not all that were asked for have results; else empty."""
        partly = len(self.tasks) < self.asked
        return f"{len(self.tasks)} of {self.asked} tasks" if partly else ""

    @property
    def one_each(self) -> bool:
        """Whether no model has two rows."""
        return len({row.name for row in self.rows}) == len(self.rows)

    @property
    def type_names(self) -> list[str]:
        """The types of the tasks, each once, in their order; of a task that nobody knows, none."""
        return list(dict.fromkeys(filter(None, map(self.types.get, self.tasks))))

    @property
    def resampled(self) -> str:
        """What the intervals resample, in words; empty where there are none."""
        words = {
            "": "",
            "queries": "queries, or examples where nothing is ranked",
            "tasks": "tasks, whose scores alone are known",
            "both": "tasks, and within them queries or examples",
        }[self.over]
        nested = any(row.nested_low is not None for row in self.rows)
        return f"{words} (with other tasks: tasks as well)" if nested else words

    @property
    def grouped(self) -> str:
        """What letters or tiers mean, in words."""
        alpha = f"{1 - self.level:.2g}"
        if any(row.group for row in self.rows):
            return f"models that share a letter cannot be told apart at {alpha}"
        return (
            f"a tier begins with the first model that can be told apart at {alpha} from the first"
            " one of the tier before (Bonferroni-corrected for all pairs)"
        )

    def type_mean(self, row: Row, kind: str) -> float | None:
        """The mean of a row over the tasks of a type; None where it lacks one of them."""
        scores = [row.scores.get(task) for task in self.tasks if self.types.get(task) == kind]
        known = [score for score in scores if score is not None]
        return sum(known) / len(known) if known and len(known) == len(scores) else None


_WHOLE = (
    "layer", "dim", "place", "tasks", "borda", "best_place", "worst_place", "tier", "zero_shot",
    "both", "views",
)  # fmt: skip


def rows_of(
    table: pd.DataFrame,
    scores: pd.DataFrame,
    details: list[dict[str, Any]],
    spent: dict[int, dict[str, Any]],
) -> list[Row]:
    """The rows of a table of views.

    Args:
        table: one row per view: the fields of `Row` but those that follow.
        scores: views by tasks.
        details: of each view's model.
        spent: costs by view.
    """
    # Column by column: value by value would take longer than all statistics.
    plain = {str(name): _values(table[name], int if name in _WHOLE else None) for name in table}
    plain["group"] = [group or "" for group in plain["group"]]
    plain["p_values"] = [p_values or {} for p_values in plain["p_values"]]
    tasks = scores.columns.tolist()
    plain["scores"] = [
        {
            task: score for task, score in zip(tasks, values, strict=True) if score == score
        }  # not NaN
        for values in scores.to_numpy().tolist()
    ]
    plain["costs"] = [
        _with_size(known, spent.get(view, {}))
        for view, known in zip(table.index, details, strict=True)
    ]
    plain["facts"] = [
        facts_of({"parameters": costs.get("parameters") or None, **known})
        for costs, known in zip(plain["costs"], details, strict=True)
    ]
    return [
        Row(**dict(zip(plain, values, strict=True))) for values in zip(*plain.values(), strict=True)
    ]


def _values(column: pd.Series, kind: type[int] | None) -> list[Any]:
    """The values as plain Python ones, None where one is missing."""
    missing = column.isna().tolist()
    return [
        None if lacks else kind(value) if kind else value
        for value, lacks in zip(column.tolist(), missing, strict=True)
    ]


def _with_size(known: dict[str, Any], spent: dict[str, float]) -> dict[str, float]:
    parameters = facts_of(known).parameters
    return {"parameters": float(parameters), **spent} if parameters else spent
