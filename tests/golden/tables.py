"""What the goldens found, as two tables at the end of a run of pytest:
largest differences of vectors, and losses.
"""

from collections.abc import Iterator

# set, method, batch size -> the largest of all forms.
_DIFFERENCES: dict[tuple[str, str, int], float] = {}
_LOSSES: dict[str, tuple[float, float]] = {}  # name -> the original's value, ours farthest from it


def difference(where: str, method: str, batch_size: int, found: float) -> None:
    """Note a difference from the original's vectors; `where` names the set of goldens."""
    key = where, method, batch_size
    _DIFFERENCES[key] = max(_DIFFERENCES.get(key, 0.0), float(found))


def loss(name: str, wanted: float, found: float) -> None:
    """Note a loss beside the original's."""
    _LOSSES[name] = max(
        _LOSSES.get(name, (wanted, wanted)),
        (float(wanted), float(found)),
        key=lambda pair: abs(pair[1] - pair[0]),
    )


def lines() -> Iterator[str]:
    """Both tables."""
    if _DIFFERENCES:
        sizes = sorted({size for *_, size in _DIFFERENCES})
        yield f"{'goldens':14} {'method':22}" + "".join(
            f"{f'batches of {size}':>15}" for size in sizes
        )
        for where, method in dict.fromkeys((where, method) for where, method, _ in _DIFFERENCES):
            found = (_DIFFERENCES.get((where, method, size)) for size in sizes)
            yield f"{where:14} {method:22}" + "".join(
                f"{'' if one is None else f'{one:.1e}':>15}" for one in found
            )
    if _LOSSES:
        yield f"\n{'loss':30} {'original':>14} {'here':>14}"
        for name, (wanted, found) in _LOSSES.items():
            yield f"{name:30} {wanted:14.7g} {found:14.7g}"
