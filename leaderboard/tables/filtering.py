"""Filters that name what is not in the store: an answer of nothing would look like an answer."""

from difflib import get_close_matches

from leaderboard.errors import LeaderboardError
from leaderboard.storage.store import Store

_SHOWN = 10


def refuse_absent(store: Store, **where: list[str]) -> None:
    """Refuse a value that no run has.

    Args:
        store: a `leaderboard.storage.store.Store`.
        where: a column of `statements.FILTERS` and the values wanted.

    Raises:
        LeaderboardError: one of the values is not there.
    """
    for column, values in where.items():
        there = store.runs()[column].unique().to_pylist() if values else []
        for value in values:
            if value not in there:
                close = get_close_matches(value, there, n=3, cutoff=0.5) or sorted(there)[:_SHOWN]
                held = (
                    f"They hold: {', '.join(close)}{' ...' if len(there) > len(close) else ''}"
                    if there
                    else ""
                )
                raise LeaderboardError(
                    f"The results hold no {column} {value!r}.", held or "The store is empty."
                )
