"""The metric that a name stands for in a store."""

from leaderboard.errors import LeaderboardError
from leaderboard.measures import requested, shown, stored, unknown
from leaderboard.storage.store import Store


def in_store(store: Store, name: str) -> str:
    """The stored name of a metric that at least one run has; "main" is each task's main one.

    Args:
        name: as people write it, nDCG@10 or ERR@20, or as the store does, ndcg_at_10.

    Raises:
        LeaderboardError: there is no such metric, or none of the runs has it.
    """
    found = stored(name)
    if found == "main":
        return found
    held = _held(store)
    for candidate in (found, name, name.lower()):
        if candidate in held:
            return candidate
    try:
        known, _, _ = requested(name)
    except LeaderboardError as error:
        raise unknown(name, held) from error
    raise LeaderboardError(
        f"No run has {shown(known)}.",
        f'Type: embedlab runs measure --measure "{shown(known)}", which computes it from the'
        " rankings in the store.",
    )


def _held(store: Store) -> frozenset[str]:
    """The metrics that the store's runs have."""

    def read() -> frozenset[str]:
        return frozenset(store.query("SELECT DISTINCT metric FROM scores")["metric"].to_pylist())

    return store.cached("metrics", read)
