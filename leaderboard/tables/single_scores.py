"""What single queries or examples scored, read once for each run: another order of the ranking, or
a part of its tasks, then reads nothing.
"""

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from leaderboard.saying import Say, silent
from leaderboard.storage.store import Store
from leaderboard.tables import example_scores
from leaderboard.tables.example_scores import Single

_MOST = 40_000_000  # scores that are kept, at 8 bytes; the next reading beyond them starts anew

# Ids come once for all runs of the same queries: they are most of what there is to read.
_BY_QUERY = """
    WITH of_run AS (
        SELECT run_id, metric, list(value ORDER BY query_id) AS scores,
            list(query_id ORDER BY query_id) AS ids
        FROM per_query
        WHERE run_id IN (SELECT unnest(?)) AND metric IN (SELECT unnest(?))
        GROUP BY run_id, metric),
    keyed AS (SELECT *, hash(ids) AS key FROM of_run)
    SELECT run_id, metric, scores, len(scores) AS count, key,
        if(row_number() OVER (PARTITION BY key) = 1, ids, NULL) AS ids
    FROM keyed
"""


def of_runs(
    store: Store, runs: pd.DataFrame, say: Say = silent
) -> dict[tuple[str, str], Single | None]:
    """The scores of each run by its own metric, by (run id, metric); None where there are none. Not
    to be changed.

    Args:
        runs: columns run_id, metric, task, type, split, subset.
    """
    kept: dict[tuple[str, str], Single | None] = store.cached("single scores", dict)
    keys = pd.Series([*zip(runs["run_id"], runs["metric"], strict=True)], index=runs.index)
    missing = runs[[key not in kept for key in keys]]
    if len(missing):
        if sum(len(single.values) for single in kept.values() if single) > _MOST:
            kept.clear()
            missing = runs
        say("Reading the scores of queries", 0.0)
        found = _of_queries(store, missing)
        say("Reading examples", 0.4)
        found |= example_scores.by_run(
            store, missing, lambda doing, share: say(doing, 0.4 + 0.6 * share)
        )
        kept |= {key: found.get(key) for key in keys[missing.index]}
    return kept


def _of_queries(store: Store, runs: pd.DataFrame) -> dict[tuple[str, str], Single]:
    """The scores of each run by its own metric, in the order of the queries' ids; by (run id,
    metric).
    """
    if runs.empty:
        return {}
    rows = store.query(_BY_QUERY, [runs["run_id"].tolist(), runs["metric"].unique().tolist()])
    listed = rows.filter(pc.is_valid(rows["ids"]))
    ids = dict(zip(listed["key"].to_pylist(), listed["ids"].to_pylist(), strict=True))
    ends = np.cumsum([0, *rows["count"].to_pylist()])
    values = rows["scores"].combine_chunks().flatten().to_numpy()
    return {
        (run, metric): Single(ids[key], key, values[start:end])
        for run, metric, key, start, end in zip(
            rows["run_id"].to_pylist(), rows["metric"].to_pylist(), rows["key"].to_pylist(),
            ends[:-1], ends[1:], strict=True,
        )
    }  # fmt: skip
