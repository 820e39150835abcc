"""A metric of rankings as a value, and what it sees: where the judged documents stand."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class Relevance:
    """The relevance of the documents ranked for each query, and of those that ought to be.

    Args:
        gains: int32 `[queries, depth]`, the judgement of the document at each rank, best first; 0
            where it is not relevant, not judged, or where there is none.
        ideal_query, ideal_gain: query and gain of every positive judgement, found or not: int
            `[positive]`, ordered by query, the greatest gain first.
        ranked: bool `[queries, depth]`, whether there is a document at the rank.
        judgement: int32 `[queries, depth]`, which judgement the document at each rank has: its
            position in `judged_query` and `judged_gain`; -1 where it has none.
        judged_query, judged_gain: query and grade of every judgement, found or not, also those of
            0 and below: int `[judgements]`, ordered by query.
    """

    gains: np.ndarray
    ideal_query: np.ndarray
    ideal_gain: np.ndarray
    ranked: np.ndarray
    judgement: np.ndarray
    judged_query: np.ndarray
    judged_gain: np.ndarray

    @property
    def judged(self) -> np.ndarray:
        """Whether the document at each rank has a judgement, bool `[queries, depth]`."""
        judged: np.ndarray = self.judgement >= 0
        return judged

    @cached_property
    def relevant(self) -> np.ndarray:
        """Relevant documents that there are for each query, int `[queries]`."""
        return np.bincount(self.ideal_query, minlength=len(self.gains))

    @cached_property
    def ideal_rank(self) -> np.ndarray:
        """Rank of each positive judgement in the ideal ranking, from 0, int `[positive]`."""
        return _position_in_group(self.ideal_query)

    @cached_property
    def hits(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Every relevant document that was found, in query and rank order.

        Returns:
            query, rank (from 0), gain, and how many relevant ones stand before it: int `[found]`
            each.
        """
        query, rank = np.nonzero(self.gains)
        return query, rank, self.gains[query, rank], _position_in_group(query)

    def per_query(self, query: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """The sum of `weights` for each query, or the count,
        `[queries]`; `query` says whose each is.
        """
        return np.bincount(query, weights=weights, minlength=len(self.gains))


@dataclass(frozen=True)
class Metric:
    """A metric of rankings, scored query by query.

    Args:
        score: from the relevance of the ranked documents and a cut-off k to float64 `[queries]`;
            higher is better.
        shown: how people write it: "nDCG"; by default its name.
        short: other names that people type: "ap" for MAP.
        cut: whether the best k documents decide it: then it is scored at each of a task's cut-offs,
            as nDCG@10, and recorded as ndcg_at_10. Else it is scored once, from the whole ranking
            (k is its depth), and recorded under its name alone; a run that looks at fewer documents
            than its task asks for does not have it.
        trec: its name in trec_eval, where that has it.
        abstention: whether MTEB reports by it how well a model's confidence tells its good rankings
            from its bad ones.
    """

    score: Callable[[Relevance, int], np.ndarray]
    shown: str = ""
    short: tuple[str, ...] = ()
    cut: bool = True
    trec: str = ""
    abstention: bool = False


def divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """The quotient, 0 where the denominator is: a query without a relevant document scores 0."""
    quotient: np.ndarray = np.divide(
        numerator, denominator, out=np.zeros(len(numerator)), where=denominator > 0
    )
    return quotient


def _position_in_group(groups: np.ndarray) -> np.ndarray:
    """0, 1, 2, ... within each run of equal values of a sorted array."""
    starts = (
        np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
        if len(groups)
        else np.empty(0, np.int64)
    )
    return np.arange(len(groups)) - np.repeat(starts, np.diff(np.r_[starts, len(groups)]))
