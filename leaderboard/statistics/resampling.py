"""Random draws that the tests and intervals share:
many at once, as matrices, so that one product applies them all.
"""

from collections.abc import Iterator

import numpy as np

_CELLS = 2**22  # numbers in one block of draws (32 MiB): long query lists must not fill the memory


def sign_flips(queries: int, resamples: int, seed: int, columns: int = 1) -> Iterator[np.ndarray]:
    """Blocks of signs, float64 `[draws, queries]` of -1 and 1, `resamples` rows in all.

    Where there are no more than `resamples` patterns of signs, every pattern comes once instead.
    `columns`: how many series each block will be multiplied with; more of them make the blocks
    shorter.
    """
    if has_few_patterns(queries, resamples):
        yield 1.0 - 2.0 * ((np.arange(2**queries)[:, None] >> np.arange(queries)) & 1)
        return
    rng = np.random.default_rng(seed)
    for draws in _blocks(resamples, max(queries, columns)):
        yield 1.0 - 2.0 * rng.integers(0, 2, (draws, queries), dtype=np.int8)


def has_few_patterns(queries: int, resamples: int) -> bool:
    """Whether all `2 ** queries` patterns of signs can be tried: the test is then exact."""
    return bool(2**queries <= resamples)


def resampled_counts(
    units: int, resamples: int, rng: np.random.Generator, columns: int = 1
) -> Iterator[np.ndarray]:
    """Blocks of bootstrap draws, float64 `[draws, units]`:
    how often each unit was drawn; every row sums to `units`.
    """
    for draws in _blocks(resamples, max(units, columns)):
        drawn = rng.integers(0, units, (draws, units)) + units * np.arange(draws)[:, None]
        yield (
            np.bincount(drawn.ravel(), minlength=draws * units)
            .reshape(draws, units)
            .astype(np.float64)
        )


def _blocks(rows: int, width: int) -> Iterator[int]:
    height = max(1, _CELLS // width)
    for start in range(0, rows, height):
        yield min(height, rows - start)
