"""How work that takes seconds says how far it is."""

from collections.abc import Callable

# Takes what is being done, and the share of all that is done, 0 to 1. It may raise to end the work.
Say = Callable[[str, float], None]


def silent(doing: str, share: float) -> None:
    """Nobody is told."""
