"""Names beside points of a scatter plot, none over another: Vega-Lite places no labels."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

_WIDE = 0.56  # of a letter, in font sizes: Helvetica's mean is 0.5
# The share of a text that stands before x.
_BEFORE = {"left": 0.0, "right": 1.0, "center": 0.5}
_GAP = 6  # between a point and its name


class Place(NamedTuple):
    """Where a name stands: its point's number, which end of the text is at x ("left", "right",
    "center"), and its middle, in pixels.
    """

    point: int
    align: Literal["left", "right", "center"]
    x: float
    y: float


class _Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: "_Box") -> bool:
        """Whether the two share any ground."""
        beside = self.right <= other.left or other.right <= self.left
        return not (beside or self.bottom <= other.top or other.bottom <= self.top)


def places(
    names: Sequence[str],
    points: Sequence[tuple[float, float]],
    size: tuple[float, float],
    font: float,
    lines: Sequence[tuple[float, float]] = (),
) -> list[Place]:
    """Places of as many names as fit, the first first: right of the point, left, above or below.

    Args:
        names: texts, the most important first.
        points: x and y of each in pixels from the plot's left top corner.
        size: width and height of the plot in pixels; no name leaves it.
        font: the text's size in pixels.
        lines: the corners of a line of upright and level pieces, over which no name stands.
    """
    taken = [_Box(x - 4, y - 4, x + 4, y + 4) for x, y in points]
    drawn = [
        _Box(min(a, c) - 2, min(b, d) - 2, max(a, c) + 2, max(b, d) + 2)
        for (a, b), (c, d) in pairwise(lines)
    ]
    found = []
    for at, (name, (x, y)) in enumerate(zip(names, points, strict=True)):
        wide, high = _WIDE * font * len(name), font + 2
        up, down = y - high * 0.8, y + high * 0.8
        candidates = [
            Place(at, "left", x + _GAP, y), Place(at, "right", x - _GAP, y),
            Place(at, "center", x, y - high), Place(at, "center", x, y + high),
            Place(at, "left", x + _GAP, up), Place(at, "left", x + _GAP, down),
            Place(at, "right", x - _GAP, up), Place(at, "right", x - _GAP, down),
        ]  # fmt: skip
        others = taken[:at] + taken[at + 1 :] + drawn
        for place in candidates:
            left = place.x - _BEFORE[place.align] * wide
            box = _Box(left, place.y - high / 2, left + wide, place.y + high / 2)
            inside = min(box.left, box.top) >= 0 and box.right <= size[0] and box.bottom <= size[1]
            if inside and not any(box.meets(each) for each in others):
                taken.append(box)
                found.append(place)
                break
    return found
