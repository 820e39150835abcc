"""What a comparison sets against each other:
a view, or the mean of several, such as one training with several seeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from leaderboard.errors import LeaderboardError
from leaderboard.tables.evaluated_views import Views

MEAN_OF = " + "  # between names that stand for one side together


@dataclass(frozen=True)
class Side:
    """One side of a pair.

    label: as it is shown; rows: which of the comparison's views it is the mean of.
    """

    label: str
    rows: tuple[int, ...]

    def mean(self, scores: np.ndarray) -> np.ndarray:
        """The side's scores, float64 `[queries]`, out of those of all views `[views, queries]`."""
        means: np.ndarray = scores[list(self.rows)].mean(axis=0)
        return means

    def parts(
        self, of_views: Sequence[Mapping[tuple[str, str], float]]
    ) -> dict[tuple[str, str], float] | None:
        """The side's score on each part of a task; None where its views have it in other parts."""
        own = [of_views[row] for row in self.rows]
        if any(each.keys() != own[0].keys() for each in own):
            return None
        return {part: float(np.mean([each[part] for each in own])) for part in own[0]}


def pairs_of(everything: Views, names: Sequence[str], planned: bool) -> "Sided":
    """The views that `names` stand for, and which sides are compared.

    Args:
        everything: all views of the tasks.
        names: as `Views.select` takes them; several joined by " + " stand for their mean. A view
            that has " + " in its own name (a pipeline and its generator) is that view.
        planned: the first with the second, the third with the fourth, ... instead of each with
            each.

    Raises:
        LeaderboardError: a name stands for no view or for several, one side for another's view
            twice, or a planned comparison has an odd number of names.
    """
    members = [_members(name, everything) for name in names]
    flat = [name for side in members for name in side]
    if planned and len(names) % 2:
        raise LeaderboardError(
            f"Pairs need an even number of names, and here are {len(names)}.",
            "Type: embedlab compare --pairs A B C D compares A with B and C with D.",
        )
    views = everything.select(list(dict.fromkeys(flat)) if planned else flat)
    row_of = {name: row for row, name in enumerate(dict.fromkeys(flat))}
    labels = views.table["label"].tolist()
    sides = [
        Side(
            MEAN_OF.join(labels[row_of[name]] for name in side),
            tuple(row_of[name] for name in side),
        )
        for side in members
    ]
    pairs = (
        list(zip(sides[::2], sides[1::2], strict=True)) if planned else list(combinations(sides, 2))
    )
    for first, second in pairs:
        if set(first.rows) & set(second.rows):
            raise LeaderboardError(
                f"{first.label} and {second.label} share a view.", "Compare it with another one."
            )
    return Sided(views, pairs)


def _members(name: str, everything: Views) -> list[str]:
    """The names that `name` joins; each is the longest that a view or a model has."""
    known = {*everything.table["label"].str.lower(), *everything.table["model"].str.lower()}
    words, members = name.split(MEAN_OF), []
    while words:
        ends = range(len(words), 0, -1)
        joined = [MEAN_OF.join(words[:end]) for end in ends]
        matches = [
            end
            for end, text in zip(ends, joined, strict=True)
            if text.lower() in known or text.lower().partition("@")[0] in known
        ]
        end = matches[0] if matches else 1
        members.append(MEAN_OF.join(words[:end]))
        words = words[end:]
    return members


def narrowed(views: Views, pair: "tuple[Side, Side]") -> "Sided":
    """A pair with its own views alone, so that a task that others lack still counts for it."""
    rows = [row for side in pair for row in side.rows]
    at = {row: place for place, row in enumerate(rows)}
    first, second = (replace(side, rows=tuple(at[row] for row in side.rows)) for side in pair)
    return Sided(views.only([int(views.table.index[row]) for row in rows]), [(first, second)])


@dataclass(frozen=True)
class Sided:
    """The views of a comparison, and the pairs of sides that it tests."""

    views: Views
    pairs: list[tuple[Side, Side]]
