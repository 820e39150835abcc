"""Is the difference between two models more than chance? Paired tests over queries,
effect size, corrections.

Every test takes `differences`, float64 `[..., queries]`: for each query, one model's score minus
the other's. It returns two-sided p-values of shape `[...]`.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from leaderboard.errors import LeaderboardError
from leaderboard.statistics.resampling import has_few_patterns, resampled_counts, sign_flips

T = TypeVar("T")

RESAMPLES = 10_000
# Scores nearer than this are equal: what is left between them is rounding,
# which no test may take for a difference.
ROUNDING = 1e-9
_LARGE = 10_000  # queries from which t is normal


def randomisation_test(
    differences: ArrayLike, *, resamples: int = RESAMPLES, seed: int = 0
) -> np.ndarray:
    """Fisher's randomisation test (Smucker et al., CIKM 2007): were the models alike, every sign
    would be a coin flip.

    Exact where `2 ** queries <= resamples`; else the p-value counts the observed order as one of
    the draws, so that it is never 0 (Phipson and Smyth 2010, eq. 2).
    """
    rows, shape = _rows(differences)
    # The same terms summed in another order differ in the last bits and must still count as a tie.
    bound = np.abs(rows.sum(axis=1)) - 1e-12 * np.abs(rows).sum(axis=1)
    reached = np.zeros(len(rows))
    for signs in sign_flips(rows.shape[1], resamples, seed, columns=len(rows)):
        reached += (np.abs(signs @ rows.T) >= bound).sum(axis=0)
    if has_few_patterns(rows.shape[1], resamples):
        shares: np.ndarray = reached / 2 ** rows.shape[1]
        return shares.reshape(shape)
    return ((reached + 1) / (resamples + 1)).reshape(shape)


def bootstrap_test(
    differences: ArrayLike, *, resamples: int = RESAMPLES, seed: int = 0
) -> np.ndarray:
    """The paired bootstrap test with Student's t as its statistic (Sakai, SIGIR 2006, figure 1)."""
    rows, shape = _rows(differences)
    n = rows.shape[1]
    mean = rows.mean(axis=1)
    centred = rows - mean[:, None]
    # Equal differences less their mean leave rounding, of which every draw would make a t as
    # extreme as the observed.
    centred[np.abs(centred) <= ROUNDING * np.abs(rows).max(axis=1, keepdims=True)] = 0.0
    observed = np.abs(_student(mean, (centred**2).mean(axis=1), n))
    reached = np.zeros(len(rows))
    for counts in resampled_counts(n, resamples, np.random.default_rng(seed), columns=len(rows)):
        means = counts @ centred.T / n
        reached += (
            np.abs(_student(means, counts @ (centred**2).T / n - means**2, n)) >= observed
        ).sum(axis=0)
    return ((reached + 1) / (resamples + 1)).reshape(shape)


def t_test(differences: ArrayLike) -> np.ndarray:
    """Student's paired t-test. Differences that are all 0 give p = 1."""
    rows, shape = _rows(differences)
    varies = np.ptp(rows, axis=1) > ROUNDING * np.abs(rows).max(axis=1)
    p = np.where(rows[:, 0] == 0, 1.0, 0.0)
    if varies.any():
        from scipy import stats

        p[varies] = stats.ttest_1samp(rows[varies], 0.0, axis=1).pvalue
    return p.reshape(shape)


TESTS: dict[str, Callable[..., np.ndarray]] = {
    "randomisation": randomisation_test,
    "bootstrap": bootstrap_test,
    "t": t_test,
}


def correct(p_values: ArrayLike, method: str = "holm") -> np.ndarray:
    """P-values corrected for having made all these comparisons; shape kept.

    `holm` bounds the chance of any false difference (Holm 1979), `bh` the expected share of false
    ones among those found (Benjamini and Hochberg 1995). NaN marks a comparison that was not
    tested, and stays.
    """
    correction = choose("correction", method, CORRECTIONS)
    corrected = np.array(p_values, dtype=np.float64)
    tested = ~np.isnan(corrected)
    if tested.any():
        corrected[tested] = correction(corrected[tested])
    return corrected


def _holm(p: np.ndarray) -> np.ndarray:
    order = np.argsort(p)
    corrected = np.empty_like(p)
    corrected[order] = np.maximum.accumulate(np.arange(len(p), 0, -1) * p[order]).clip(max=1.0)
    return corrected


def _benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    from scipy import stats

    corrected: np.ndarray = stats.false_discovery_control(p)
    return corrected


CORRECTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "holm": _holm,
    "bh": _benjamini_hochberg,
    "none": np.copy,
}


def effect_size(differences: ArrayLike) -> np.ndarray:
    """Cohen's d of paired samples (d_z), `[...]`:
    the mean difference in units of its standard deviation.
    """
    rows, shape = _rows(differences)
    mean, deviation = rows.mean(axis=1), rows.std(axis=1, ddof=1)
    size = np.divide(
        mean, deviation, out=np.copysign(np.inf, mean), where=deviation > ROUNDING * np.abs(mean)
    )
    return np.where(mean == 0, 0.0, size).reshape(shape)


def needed(effect: float, *, alpha: float = 0.05, power: float = 0.8) -> int | None:
    """How many queries would show a difference of this size: the least number with which a paired
    t-test rejects in `power` of all tries; None where there is no difference.

    Args:
        effect: Cohen's d of paired samples (`effect_size`).
    """
    if effect == 0 or not np.isfinite(effect):
        return None if effect == 0 else 2
    from scipy import stats

    def lacks(queries: int) -> bool:
        bound = stats.t.ppf(1 - alpha / 2, queries - 1)
        # The noncentral t of a difference that is there (Cohen 1988, chapter 2).
        return bool(stats.nct.sf(bound, queries - 1, abs(effect) * np.sqrt(queries)) < power)

    normal = stats.norm.ppf(1 - alpha / 2) + stats.norm.ppf(power)
    queries = max(2, int((normal / effect) ** 2))  # a few below what t needs
    if queries > _LARGE:
        return queries
    while lacks(queries):
        queries += 1
    return queries


class WinTieLoss(NamedTuple):
    """On how many queries the first model is better, equal, worse."""

    wins: int
    ties: int
    losses: int


def win_tie_loss(differences: ArrayLike) -> WinTieLoss:
    """Counts over one series of differences, `[queries]`;
    scores that differ by rounding alone are ties.
    """
    series = np.asarray(differences)
    ties = np.isclose(series, 0.0, rtol=0.0, atol=ROUNDING)
    wins = int(((series > 0) & ~ties).sum())
    return WinTieLoss(wins, int(ties.sum()), len(series) - wins - int(ties.sum()))


def choose(kind: str, name: str, known: Mapping[str, T]) -> T:
    """`known[name]`, or the error that lists what is known."""
    if name not in known:
        raise LeaderboardError(f"Unknown {kind} {name!r}.", f"Choose one of: {', '.join(known)}.")
    return known[name]


def _rows(differences: ArrayLike) -> tuple[np.ndarray, tuple[int, ...]]:
    rows = np.asarray(differences, dtype=np.float64)
    if rows.ndim == 0 or rows.shape[-1] < 2:
        raise LeaderboardError(
            "A paired test needs at least two queries.", "Compare on a task with more queries."
        )
    if not np.isfinite(rows).all():
        raise LeaderboardError(
            "The differences hold values that are not numbers.",
            "Give every query a score; 0 where nothing was found.",
        )
    rows = np.where(np.abs(rows) <= ROUNDING, 0.0, rows)
    return rows.reshape(-1, rows.shape[-1]), rows.shape[:-1]


def _student(mean: np.ndarray, mean_square: np.ndarray, n: int) -> np.ndarray:
    """Student's t from means and (biased) variances over `n` values;
    0 where the mean is 0, even without variance.
    """
    error = np.sqrt(np.maximum(mean_square, 0.0) / (n - 1))
    negligible = error <= 1e-12 * np.maximum(np.abs(mean), 1e-300)
    t = np.divide(mean, error, out=np.copysign(np.inf, mean), where=~negligible)
    return np.where(np.abs(mean) < 1e-300, 0.0, t)
