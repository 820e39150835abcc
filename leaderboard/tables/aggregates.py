"""Tasks made of other tasks: MTEB counts CQADupstackRetrieval once, not as its twelve members.

The score of an aggregate is the mean of its members' scores (mteb's
`AbsTaskAggregate.task_results_to_scores`), or the one that was published for the whole. Which tasks
these are stands in aggregates.toml.
"""

import tomllib
from collections.abc import Collection, Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pandas as pd

# The subset of an aggregate that was published as one score; a member's score is the subset MEMBER.
WHOLE = "default"
# Results of one of these may be published for the whole or by member; only one of the two counts.
_OF_ONE_VIEW = ["model", "layer", "dim", "precision", "settings", "index"]


class Aggregate(NamedTuple):
    """The members of an aggregate, and the split of theirs that counts."""

    split: str
    members: tuple[str, ...]


@cache
def aggregates() -> dict[str, Aggregate]:
    """All aggregates by name."""
    tables = tomllib.loads((Path(__file__).parent / "aggregates.toml").read_text(encoding="utf-8"))
    return {name: Aggregate(one["split"], tuple(one["members"])) for name, one in tables.items()}


def known(tasks: Collection[str]) -> list[str]:
    """`tasks`, and the aggregates that any of them is a member of."""
    here = set(tasks)
    return [
        *tasks,
        *(
            name
            for name, one in aggregates().items()
            if name not in here and here & set(one.members)
        ),
    ]


def of_task(name: str) -> list[str]:
    """The task, and where it is an aggregate its members."""
    return [name, *(aggregates()[name].members if name in aggregates() else ())]


def counted(tasks: Iterable[str]) -> list[str]:
    """`tasks` as a ranking counts them:
    an aggregate in place of its members where it, or all of them, are there.
    """
    result = list(tasks)
    for name, one in aggregates().items():
        if name in result or set(one.members) <= set(result):
            result = list(dict.fromkeys(name if task in one.members else task for task in result))
    return result


def join(runs: pd.DataFrame, tasks: Collection[str], split: str = "") -> pd.DataFrame:
    """Runs on members as runs on the aggregates among `tasks`;
    where a view's whole was published, that alone.

    Args:
        runs: columns model, source, layer, dim, precision, settings, index, task, split, subset,
            parts.
        split: of the members; the aggregate's own by default.
    """
    joined = [runs[runs["task"].isin(tasks)]]
    for name in aggregates().keys() & set(tasks):
        own_split, members = aggregates()[name]
        chosen = (
            runs["task"].isin(members)
            & (runs["split"] == (split or own_split))
            & (runs["subset"] == WHOLE)
        )
        members_runs = runs[chosen]
        whole = runs.loc[runs["task"] == name, [*_OF_ONE_VIEW, "source"]]
        published = _keys(members_runs).isin(_keys(whole))
        apart = members_runs[~published.to_numpy()]
        joined.append(apart.assign(task=name, subset=apart["task"], parts=len(members)))
    return pd.concat(joined, ignore_index=True) if len(joined) > 1 else joined[0]


def _keys(runs: pd.DataFrame) -> pd.Series:
    """What tells whose score it is: the view, and whether it was computed here."""
    columns = [
        *(runs[name].astype(str) for name in _OF_ONE_VIEW),
        (runs["source"] == "").astype(str),
    ]
    return pd.Series(list(zip(*columns, strict=True)), index=runs.index, dtype=object)
