"""Groups of models that cannot be told apart:
every pair tested, corrected, and shown as letters.
"""

from collections.abc import Sequence

import numpy as np
from scipy.special import stdtr

from leaderboard.statistics.significance import correct


def pairwise_p_values(
    tasks: Sequence[Sequence[np.ndarray]], correction: str = "holm"
) -> np.ndarray:
    """Corrected p-values of every pair's difference in the mean over tasks,
    float64 `[models, models]`, symmetric.

    A t-test paired by query, each part of a task a stratum: squared standard errors add up, degrees
    of freedom follow Satterthwaite (1946). One task gives the ordinary paired t-test. With hundreds
    of pairs a resampling test would need millions of draws to reach p-values that survive the
    correction; over queries the t-test agrees with it (Urbano et al., SIGIR 2019).

    Args:
        tasks: for each task its parts (subsets of a split), each float64 `[models, queries]`, two
            or more queries. To ask about other tasks instead of other queries, give one task of one
            part `[models, tasks]`.
        correction: "holm", "bh" or "none".
    """
    strata = [(scores, 1 / (len(parts) * len(tasks))) for parts in tasks for scores in parts]
    means = np.sum([weight * scores.mean(axis=1) for scores, weight in strata], axis=0)
    errors = [_squared_errors(scores) * weight**2 for scores, weight in strata]
    total = np.sum(errors, axis=0)
    difference = np.abs(means[:, None] - means)
    certain = total == 0
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = total**2 / np.sum(
            [
                error**2 / (scores.shape[1] - 1)
                for error, (scores, _) in zip(errors, strata, strict=True)
            ],
            axis=0,
        )
        p = 2 * stdtr(freedom, -difference / np.sqrt(total))  # both tails of Student's t
    p = np.where(certain, np.where(difference < 1e-12, 1.0, 0.0), p)
    upper = np.triu_indices(len(means), 1)
    corrected = np.ones_like(p)
    corrected[upper] = correct(p[upper], correction)
    return np.minimum(corrected, corrected.T)


def letters(different: np.ndarray) -> list[str]:
    """A compact letter display: two models share a letter exactly when they are not `different`.

    Insert and absorb (Piepho, J. Comput. Graph. Stat. 2004, section 2). Letters are given out in
    the models' order.

    Args:
        different: bool `[models, models]`, symmetric.
    """
    models = len(different)
    groups = [frozenset(range(models))]
    for first, second in zip(*np.nonzero(np.triu(different, 1)), strict=True):
        split = [group for group in groups if first in group and second in group]
        groups = [group for group in groups if group not in split]
        halves = {group - {model} for group in split for model in (first, second)}
        # A half that lies within another group says nothing new.
        groups += [half for half in halves if not any(half < other for other in [*groups, *halves])]
    groups.sort(key=lambda group: sorted(group))
    return [
        "".join(_letter(at) for at, group in enumerate(groups) if model in group)
        for model in range(models)
    ]


def _letter(at: int) -> str:
    """a ... z, then a1 ... z1, a2, ..."""
    return chr(ord("a") + at % 26) + (str(at // 26) if at >= 26 else "")


def _squared_errors(scores: np.ndarray) -> np.ndarray:
    """The squared standard error of every pair's mean difference, `[models, models]`."""
    covariance = np.atleast_2d(np.cov(scores))
    variance = np.diag(covariance)[:, None] + np.diag(covariance)
    of_difference = variance - 2 * covariance
    # A constant difference leaves rounding noise where its variance is 0.
    errors: np.ndarray = (
        np.where(of_difference <= 1e-12 * variance, 0.0, of_difference) / scores.shape[1]
    )
    return errors
