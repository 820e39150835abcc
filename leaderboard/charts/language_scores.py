"""Scores by language: of tasks whose subsets say their language."""

import json

import pandas as pd

from leaderboard.errors import LeaderboardError
from leaderboard.storage.store import Store
from leaderboard.tables.evaluated_views import Views

_READ = """
    SELECT DISTINCT name AS task, split, subset, details->'$.languages' AS languages FROM tasks
"""

_PAIR = ["", ""]


def by_language(store: Store, views: Views) -> pd.DataFrame:
    """The mean score of each view in each language, over the tasks that all the views have in it:
    languages by labels.

    A result counts for the one language that it is in, or for both of a pair (translations); where
    a result is over more, which of them it tells of is unknown.

    Raises:
        LeaderboardError: no language has results of all the views.
    """
    spoken: dict[tuple[str, str, str], list[str]] = {}
    for row in store.query(_READ).to_pylist():
        codes = sorted({code.split("-")[0] for code in json.loads(row["languages"] or "[]")})
        key = (row["task"], row["split"], row["subset"])
        if 0 < len(codes) <= 2 and (key not in spoken or len(codes) < len(spoken[key])):
            spoken[key] = codes
    runs = views.runs
    keys = zip(runs["data"], runs["split"], runs["subset"], strict=True)
    languages = pd.Series([spoken.get(key, []) for key in keys], runs.index, dtype=object)
    told = runs.assign(language=languages).explode("language")
    told = told.dropna(subset=["language"])
    of_task = told.groupby(["language", "task", "view"])["score"].mean().unstack("view")
    shared = of_task.reindex(columns=views.table.index).dropna()
    if shared.empty:
        raise LeaderboardError(
            "No language has results of all these models.",
            "Choose models and tasks that say in which language they are: --model, --task.",
        )
    means = shared.groupby("language").mean()
    means.columns = views.table.loc[means.columns, "label"]
    order = means.mean(axis=1).sort_values(ascending=False).index
    found: pd.DataFrame = means.loc[order]
    return found
