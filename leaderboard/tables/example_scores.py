"""What single examples add to the scores of runs that rank nothing, aligned as they were scored."""

from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd

from leaderboard.errors import LeaderboardError
from leaderboard.records import Examples
from leaderboard.saying import Say, silent
from leaderboard.statistics.example_values import of_runs
from leaderboard.storage.store import Store


class Single(NamedTuple):
    """The scores of a run's single queries or examples, float64 `[ids]`; two with the same `key`
    have the same ids in the same order.
    """

    ids: list[Any]
    key: int
    values: np.ndarray


def by_run(store: Store, runs: pd.DataFrame, say: Say = silent) -> dict[tuple[str, str], Single]:
    """The values of each run's examples by its own metric, with their places in the data as ids; by
    (run id, metric). Without the runs whose records do not hold what their metric needs.

    Args:
        runs: columns run_id, task, type, split, subset, metric.

    Raises:
        LeaderboardError: two runs on the same part of a task were scored on other examples.
    """
    recorded = store.examples(runs["run_id"].unique().tolist())
    runs = runs[runs["run_id"].isin(recorded.keys())].drop_duplicates(["run_id", "metric"])
    found = {}
    parts = runs.groupby(["task", "split", "subset", "type", "metric"], dropna=False)
    for number, (key, of_part) in enumerate(parts):
        say("Reading examples", number / parts.ngroups)
        task, _, _, kind, metric = cast("tuple[str, ...]", key)
        ids = of_part["run_id"].tolist()
        examples = [recorded[id] for id in ids]
        _refuse_others(examples, task)
        for id, single in zip(ids, of_runs(kind, metric, examples), strict=True):
            if single is not None:
                part = np.flatnonzero(~np.isnan(single))
                found[id, metric] = Single(part.tolist(), hash(part.tobytes()), single[part])
    return found


def _refuse_others(examples: list[Examples], task: str) -> None:
    """Refuse runs whose right answers differ: the same places then are other examples."""
    names = ("gold", "gold_set")
    right = [each.series[name] for each in examples for name in names if name in each.series]
    if any(not np.array_equal(right[0], other, equal_nan=True) for other in right[1:]):
        raise LeaderboardError(
            f"The models were scored on different examples of {task}.",
            "Evaluate them on the same data: embedlab eval --model MODEL --task TASK",
        )
