"""What single examples add to the scores of runs that rank nothing, aligned as they were scored."""

from typing import cast

import numpy as np
import pandas as pd

from leaderboard.errors import LeaderboardError
from leaderboard.records import Examples
from leaderboard.statistics.example_values import values
from leaderboard.storage.store import Store


def by_run(store: Store, runs: pd.DataFrame) -> dict[tuple[str, str], pd.Series]:
    """The values of each run's examples by its own metric, indexed by their place in the data; by
    (run id, metric). Without the runs whose records do not hold what their metric needs.

    Args:
        runs: columns run_id, task, type, split, subset, metric.

    Raises:
        LeaderboardError: two runs on the same part of a task were scored on other examples.
    """
    recorded = store.examples(runs["run_id"].unique().tolist())
    runs = runs[runs["run_id"].isin(recorded.keys())]
    for key, of_part in runs.groupby(["task", "split", "subset"]):
        _refuse_others([recorded[id] for id in of_part["run_id"]], str(cast("tuple[str]", key)[0]))
    found = {}
    for _, run in runs.drop_duplicates(["run_id", "metric"]).iterrows():
        single = values(run["type"], run["metric"], recorded[run["run_id"]])
        if single is not None:
            found[run["run_id"], run["metric"]] = pd.Series(single).dropna()
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
