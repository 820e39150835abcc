"""Costs that depend on the machine compare on one machine alone."""

import pandas as pd

from leaderboard.errors import LeaderboardError
from leaderboard.storage import latest_runs
from leaderboard.storage.store import Store

_TIMED = ("_seconds", "_per_second", "_ms", "peak_memory_bytes")
_UNKNOWN = "an unknown machine"


def on_one(store: Store, costs: pd.DataFrame, wanted: str = "") -> tuple[pd.DataFrame, list[str]]:
    """The costs without the times, speeds and memory of other machines, and what was left out.

    Args:
        store: where the runs are.
        costs: as `leaderboard.tables.costs.by_run` gives them.
        wanted: part of the machine's name; that of the most views by default, one that is known
            before one that is not.

    Raises:
        LeaderboardError: nothing was measured on `wanted`.
    """
    timed = costs["name"].str.endswith(_TIMED)
    ran_on = latest_runs.hardware(store)
    machine = costs["run_id"].map(ran_on["machine"]).fillna("")
    here = costs[timed].assign(machine=machine[timed]).groupby("machine")["view"].nunique()
    known = sorted(here.index, key=lambda name: (name == "", -here[name], name))
    if wanted:
        matching = [name for name in known if wanted.lower() in name.lower()]
        if not matching:
            raise LeaderboardError(
                f"Nothing here was measured on {wanted!r}.",
                f"Measured on: {'; '.join(filter(None, known)) or _UNKNOWN}.",
            )
        known = [matching[0], *(name for name in known if name != matching[0])]
    kept = costs[~timed | (machine == known[0])] if known else costs
    return kept, [*_others(known, here), *_threads(kept, ran_on)]


def _others(known: list[str], views: pd.Series) -> list[str]:
    if len(known) < 2:
        return []
    listed = "; ".join(f"{name or _UNKNOWN} ({views[name]})" for name in known[1:])
    return [
        f"Times, speeds and memory are of {known[0]}; those measured on others (views) do not"
        f" compare and are left out: {listed}."
    ]


def _threads(costs: pd.DataFrame, ran_on: pd.DataFrame) -> list[str]:
    runs = costs.loc[costs["name"].str.endswith(_TIMED), "run_id"].unique()
    threads = ran_on["threads"].reindex(runs).dropna().unique()
    if len(threads) < 2:
        return []
    counts = sorted(int(count) for count in threads)
    return [f"They were measured with {', '.join(map(str, counts[:-1]))} and {counts[-1]} threads."]
