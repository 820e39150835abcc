"""Groups of models that cannot be told apart:
every pair tested, corrected, and shown as letters; of many models, as tiers.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import stdtr

from leaderboard.statistics.significance import correct


class PairTests:
    """The t-tests of all pairs' differences in the mean over tasks, worked out model by model.

    A t-test paired by query, each part of a task a stratum: squared standard errors add up, degrees
    of freedom follow Satterthwaite (1946). One task gives the ordinary paired t-test. With hundreds
    of pairs a resampling test would need millions of draws to reach p-values that survive the
    correction; over queries the t-test agrees with it (Urbano et al., SIGIR 2019).

    Args:
        tasks: for each task its parts (subsets of a split), each float64 `[models, queries]`, two
            or more queries. To ask about other tasks instead of other queries, give one task of one
            part `[models, tasks]`.
    """

    def __init__(self, tasks: Sequence[Sequence[np.ndarray]]) -> None:
        strata = [scores for parts in tasks for scores in parts]
        weights = [1 / (len(parts) * len(tasks)) for parts in tasks for _ in parts]
        means = np.stack([scores.mean(axis=1) for scores in strata], axis=1)
        self.means: np.ndarray = means @ weights
        self._sizes = np.array([scores.shape[1] for scores in strata])
        self._starts = np.cumsum(self._sizes) - self._sizes
        self._centred = np.concatenate(strata, axis=1) - np.repeat(means, self._sizes, axis=1)
        self._variances = self._summed(self._centred**2)
        self._shares = np.square(weights) / self._sizes

    def against(self, model: int) -> np.ndarray:
        """p-values of each model's difference from one, not corrected, float64 `[models]`."""
        variance = self._variances + self._variances[model]
        of_difference = variance - 2 * self._summed(self._centred * self._centred[model])
        # A constant difference leaves rounding noise where its variance is 0.
        errors = np.where(of_difference <= 1e-12 * variance, 0.0, of_difference) * self._shares
        total = errors.sum(axis=1)
        difference = np.abs(self.means - self.means[model])
        with np.errstate(divide="ignore", invalid="ignore"):
            freedom = total**2 / (errors**2 / (self._sizes - 1)).sum(axis=1)
            p = 2 * stdtr(freedom, -difference / np.sqrt(total))  # both tails of Student's t
        found: np.ndarray = np.where(total == 0, np.where(difference < 1e-12, 1.0, 0.0), p)
        return found

    def pairs(self, correction: str = "holm") -> np.ndarray:
        """Corrected p-values of every pair, float64 `[models, models]`, symmetric.

        Args:
            correction: "holm", "bh", "none"; or "bonferroni", with which one row alone is known
                without the others (`against_all`).
        """
        p = np.stack([self.against(model) for model in range(len(self.means))])
        if correction == "bonferroni":
            return self._bonferroni(p)
        upper = np.triu_indices(len(p), 1)
        corrected = np.ones_like(p)
        corrected[upper] = correct(p[upper], correction)
        symmetric: np.ndarray = np.minimum(corrected, corrected.T)
        return symmetric

    def against_all(self, model: int) -> np.ndarray:
        """`against`, corrected for all pairs by Bonferroni: which model is the best, and which the
        next, the scores themselves have said.
        """
        return self._bonferroni(self.against(model))

    def _bonferroni(self, p: np.ndarray) -> np.ndarray:
        models = len(self.means)
        corrected: np.ndarray = np.minimum(p * max(1, models * (models - 1) // 2), 1.0)
        return corrected

    def _summed(self, values: np.ndarray) -> np.ndarray:
        """Of each stratum the sum over its queries, over its degrees of freedom."""
        sums: np.ndarray = np.add.reduceat(values, self._starts, axis=1) / (self._sizes - 1)
        return sums


def pairwise_p_values(
    tasks: Sequence[Sequence[np.ndarray]], correction: str = "holm"
) -> np.ndarray:
    """Corrected p-values of every pair's difference (`PairTests`), `[models, models]`."""
    return PairTests(tasks).pairs(correction)


def tiers(order: Sequence[int], differs: Callable[[int], np.ndarray]) -> np.ndarray:
    """The tier of each model, from 1, int `[models]`: a tier begins with the first model that can
    be told apart from the first one of the tier before.

    Args:
        order: the models, best first.
        differs: which models can be told apart from one, bool `[models]`.
    """
    tier, found = 1, np.ones(len(order), dtype=int)
    apart = differs(order[0]) if len(order) else None
    for model in order:
        if apart is not None and apart[model]:
            tier, apart = tier + 1, differs(model)
        found[model] = tier
    return found


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
