"""Which models can be told apart, pair by pair, as a table."""

from typing import TYPE_CHECKING

from leaderboard.tables.table import Column

if TYPE_CHECKING:
    from leaderboard.tables.standings import Row, Standings

_BETTER, _WORSE, _ALIKE, _NOT_TESTED = "+", "-", "=", "."


def pairs(standings: "Standings", top: int | None = None) -> tuple[list[Column], list[str]]:
    """A row for each model with a sign for each other one, and what the signs mean.

    Args:
        standings: ranked with `matrix`.
        top: how many of the first models; all by default.

    Raises:
        LeaderboardError: no pair was tested.
    """
    from leaderboard.errors import LeaderboardError

    rows = [row for row in standings.rows if row.p_values][:top]
    if not rows:
        why = next((note for note in standings.notes if note.startswith("No intervals")), "")
        raise LeaderboardError("No two models could be tested here.", why)
    alpha = 1 - standings.level
    signs = ["".join(_sign(row, other, alpha) for other in rows) for row in rows]
    columns = [
        Column("#", [row.place for row in rows]),
        Column("model", [row.name if standings.one_each else row.label for row in rows]),
        Column("mean", [row.mean for row in rows], best="max"),
        Column(f"against each of the {len(rows)}, in this order", signs),
    ]
    lettered = any(row.group for row in standings.rows)
    return columns, [
        f"{_BETTER} surely better than that one, {_WORSE} surely worse, {_ALIKE} cannot be told"
        f" apart, at {alpha:.2g} ({'Holm' if lettered else 'Bonferroni'}-corrected for all pairs).",
        *standings.notes,
    ]


def _sign(row: "Row", other: "Row", alpha: float) -> str:
    p = row.p_values.get(other.label)
    if p is None or row.mean is None or other.mean is None:
        return _NOT_TESTED
    if p > alpha:
        return _ALIKE
    return _BETTER if row.mean > other.mean else _WORSE
