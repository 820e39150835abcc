"""The tasks of a leaderboard as a table, and what else is known of them."""

from collections.abc import Mapping
from statistics import median
from typing import Any

from leaderboard.measures import shown
from leaderboard.tables.evaluated_views import Views
from leaderboard.tables.known_facts import in_words
from leaderboard.tables.ranked_rows import Standings
from leaderboard.tables.table import Column

Known = Mapping[str, Mapping[str, Any]]
_SIZES = ("documents", "queries", "samples")
_MORE = ("description", "domains", "date", "instruction", "link", "citation")


def table(views: Views, standings: Standings, known: Known) -> list[Column]:
    """One row per task: what it is, how large, how many models were scored on it and how well.

    Args:
        views: what was ranked.
        standings: the ranking of them.
        known: facts by task, with the keys of `embedlab tasks show --json`.
    """
    tasks, by_task = standings.tasks, views.runs.groupby("task")
    metrics = by_task["metric"].unique()
    parts = by_task[["split", "subset"]].apply(lambda part: len(part.drop_duplicates()))
    scored = {
        task: sorted(
            ((row.scores[task], row.name) for row in standings.rows if task in row.scores),
            key=lambda pair: -pair[0],
        )
        for task in tasks
    }
    facts = [_of_part(known.get(task, {}), int(parts[task])) for task in tasks]
    columns = [
        Column("task", tasks),
        Column("type", [standings.types.get(task, "") for task in tasks]),
        Column("metric", [", ".join(shown(name) for name in metrics[task]) for task in tasks]),
        Column("subsets", [int(parts[task]) for task in tasks], help="Splits and languages"),
        Column("languages", [in_words(each.get("languages"), "") for each in facts]),
        Column("licence", [each.get("licence") for each in facts]),
        *(Column(name, [each.get(name) for each in facts]) for name in _SIZES),
        Column("models", [len(scored[task]) for task in tasks], help="With a score on the task"),
        Column("best score", [scored[task][0][0] for task in tasks]),
        Column("best model", [scored[task][0][1] for task in tasks]),
        Column("median score", [float(median(s for s, _ in scored[task])) for task in tasks]),
    ]
    return [column for column in columns if column.filled]


def more(standings: Standings, known: Known) -> list[Column]:
    """What is too long for a table: description, domains, dates of the texts, citation."""
    return [
        Column(name, [_text(known.get(task, {}).get(name)) for task in standings.tasks])
        for name in _MORE
    ]


def _of_part(known: Mapping[str, Any], parts: int) -> Mapping[str, Any]:
    """The facts with the sizes of the first split that is evaluated; where a leaderboard takes some
    subsets of a task alone, sizes and languages of the whole would be wrong.
    """
    splits, sizes = known.get("splits") or (), known.get("sizes") or {}
    subsets = len(known.get("subsets") or ())
    if parts < len(splits) * subsets:
        return {"licence": known.get("licence"), "languages": f"{parts} of {subsets} subsets"}
    return {**known, **next((sizes[split] for split in splits if split in sizes), {})}


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value or "")
