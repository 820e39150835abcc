"""Which views can be told apart: letters for a few, tiers for many, every pair on demand."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from leaderboard.statistics.groups import PairTests, letters, tiers

# Up to so many views have letters: among more, a view would carry dozens.
LETTERED = 12


def separation(
    tested: Sequence[Sequence[np.ndarray]],
    labels: Sequence[str],
    alpha: float,
    correction: str,
    matrix: bool = False,
) -> dict[str, list[Any]]:
    """Columns of a table of views: group, tier, like_best and p_values of `ranked_rows.Row`.

    Args:
        tested: scores, as in `PairTests`.
        labels: of the views.
        alpha: the p up to which two views can be told apart.
        correction: for all pairs, of up to `LETTERED` views; that of more is Bonferroni's, with
            which a tier needs no other pairs than its own.
        matrix: whether p_values are wanted.
    """
    tests, few = PairTests(tested), len(labels) <= LETTERED
    order: list[int] = np.argsort(-tests.means, kind="stable").tolist()
    p = tests.pairs(correction if few else "bonferroni") if few or matrix else None

    def differs(view: int) -> np.ndarray:
        against: np.ndarray = tests.against_all(view) if p is None else p[view]
        return against <= alpha

    group = letters(p <= alpha) if few and p is not None and len(labels) > 1 else [""] * len(labels)
    best = differs(order[0])
    wanted = p.tolist() if matrix and p is not None else [[] for _ in labels]
    return {
        "group": group,
        "tier": tiers(order, differs).tolist(),
        "like_best": (~best).tolist(),
        "p_values": [dict(zip(labels, row, strict=False)) for row in wanted],
    }
