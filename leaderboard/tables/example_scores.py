"""What single examples add to the scores of runs that rank nothing, aligned as they were scored."""

from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd

from leaderboard.records import Examples
from leaderboard.saying import Say, silent
from leaderboard.statistics.example_values import of_runs
from leaderboard.storage.store import Store


class Single(NamedTuple):
    """The scores of a run's single queries or examples, float64 `[ids]`.

    key: two with the same have the same ids in the same order. data: two with others were scored
    on other examples, whatever their places; None where that is not recorded.
    """

    ids: list[Any]
    key: int
    values: np.ndarray
    data: int | None = None


def by_run(store: Store, runs: pd.DataFrame, say: Say = silent) -> dict[tuple[str, str], Single]:
    """The values of each run's examples by its own metric, with their places in the data as ids; by
    (run id, metric). Without the runs whose records do not hold what their metric needs.

    Args:
        runs: columns run_id, task, type, split, subset, metric.
    """
    recorded = store.examples(runs["run_id"].unique().tolist())
    runs = runs[runs["run_id"].isin(recorded.keys())].drop_duplicates(["run_id", "metric"])
    found = {}
    parts = runs.groupby(["task", "split", "subset", "type", "metric"], dropna=False)
    for number, (key, of_part) in enumerate(parts):
        say("Reading examples", number / parts.ngroups)
        _, _, _, kind, metric = cast("tuple[str, ...]", key)
        ids = of_part["run_id"].tolist()
        examples = [recorded[id] for id in ids]
        for id, each, single in zip(ids, examples, of_runs(kind, metric, examples), strict=True):
            if single is not None:
                part = np.flatnonzero(~np.isnan(single))
                same = hash(part.tobytes())
                found[id, metric] = Single(part.tolist(), same, single[part], _data(each))
    return found


def _data(examples: Examples) -> int | None:
    """A digest of the right answers; None where none are recorded."""
    right = [examples.series[name] for name in ("gold", "gold_set") if name in examples.series]
    return hash(b"".join(each.tobytes() for each in right)) if right else None
