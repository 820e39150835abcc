"""What besides the model differs between the runs of a comparison: revision, dtype, prompts, ..."""

import json
from collections.abc import Collection
from dataclasses import dataclass

import pandas as pd

from leaderboard.storage.rows import settings_of
from leaderboard.storage.store import Store
from leaderboard.tables.evaluated_views import Views

_SHORT = 12  # characters of a revision
_MANY = 3  # values of one view beyond which their number stands for them
_PART = ["task", "split", "subset"]
_READ = """
    SELECT id AS run_id, resolved->>'$.prompts' AS prompts, resolved->>'$.max_length' AS max_length,
        resolved->>'$.similarity' AS similarity, environment->>'$.packages.mteb' AS mteb
    FROM runs WHERE id IN (SELECT unnest(?))
"""


@dataclass(frozen=True)
class Setting:
    """A setting in which views differ.

    values: of each view in the order of the comparison, empty where nothing is known.
    """

    name: str
    values: list[str]


def differing(store: Store, views: Views, tasks: Collection[str]) -> list[Setting]:
    """The settings in which the runs of `views` on the same part of one of `tasks` differ."""
    runs = views.runs[views.runs["task"].isin(tasks)]
    runs = runs.merge(store.query(_READ, [runs["run_id"].tolist()]).to_pandas())
    columns = {
        "revision": runs["revision"].str[:_SHORT],
        "task revision": runs["task_revision"].fillna("").str[:_SHORT],
        "dtype": runs["settings"].map(lambda text: settings_of(text).get("dtype", "")),
        "precision": runs["precision"],
        "prompts": runs["prompts"].map(_prompts),
        "max length": runs["max_length"].fillna(""),
        "similarity": runs["similarity"].fillna(""),
        "mteb": runs["mteb"].fillna(""),
    }
    return [
        Setting(name, [_told(values[runs["view"] == view]) for view in views.table.index])
        for name, values in columns.items()
        # Two models have two revisions.
        if _differs(runs, values, within=["model"] if name == "revision" else [])
    ]


def _differs(runs: pd.DataFrame, values: pd.Series, within: list[str]) -> bool:
    known = runs.assign(value=values)[values != ""]
    return bool((known.groupby([*_PART, *within])["value"].nunique() > 1).any())


def _told(values: pd.Series) -> str:
    distinct = list(dict.fromkeys(values[values != ""]))
    return ", ".join(distinct) if len(distinct) <= _MANY else f"{len(distinct)} different"


def _prompts(text: str | None) -> str:
    """`query "query: "`, or none where every prompt is empty; empty where unknown."""
    if not isinstance(text, str):
        return ""
    prompts = json.loads(text)
    if not isinstance(prompts, dict):
        return str(prompts)
    return ", ".join(f'{name} "{prompt}"' for name, prompt in prompts.items() if prompt) or "none"
