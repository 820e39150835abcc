"""The measures of `ir_measures`, as metrics: what a user asks for beside what every run has.

Names are parsed and scores are computed by that library, https://ir-measur.es (MacAvaney et al.:
Streamlining evaluation with ir-measures, ECIR 2022), which is imported only when a name needs it.
"""

import re
from collections.abc import Iterator
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from leaderboard.errors import LeaderboardError
from leaderboard.metric import Metric, Relevance

if TYPE_CHECKING:
    from ir_measures import Measure

_WRITTEN = re.compile(r"([^\W\d]\w*)\s*(\(.*\))?\s*(@.+)?")
_AT_ONCE = 256  # queries whose rankings are held as Python objects


def names() -> list[str]:
    """The measures' names, without parameters."""
    from ir_measures import measures

    return list(measures.registry)


@cache
def parse(typed: str) -> "Measure | None":
    """The measure that a name stands for, in any case: "ERR@20", "err@20", "RBP(p=0.8,rel=1)".

    Returns:
        It; None where no measure has the name.

    Raises:
        LeaderboardError: a parameter is wrong or missing.
    """
    from ir_measures import measures, parse_measure

    parts = _WRITTEN.fullmatch(typed.strip())
    by_lower = {name.lower(): name for name in measures.registry}
    name = parts and (parts[1] if parts[1] in measures.registry else by_lower.get(parts[1].lower()))
    if not parts or name is None:
        return None
    try:
        found: Measure = parse_measure(f"{name}{parts[2] or ''}{parts[3] or ''}")
        found.validate_params()
    except Exception as error:  # ValueError, NameError, AssertionError, AttributeError, ...
        raise LeaderboardError(
            f"{typed!r} is no measure: {_reason(error, typed)}", _form(measures.registry[name])
        ) from error
    return found


def metric(measure: "Measure") -> Metric:
    """The metric that a measure is; it looks at as much of the ranking as the measure says.

    Raises:
        LeaderboardError: no installed package computes it, or it is no score of a query.
    """
    import ir_measures

    if not ir_measures.DefaultPipeline.supports(measure):
        raise LeaderboardError(
            f"ir_measures cannot compute {measure}.", " ".join(_who_can(measure)) or _form(measure)
        )
    if "iteration" in ir_measures.DefaultPipeline.qrel_inputs([measure]):
        raise LeaderboardError(
            f"{measure} needs judgements by subtopic, and these tasks have none.", "Leave it out."
        )
    if not isinstance(measure.aggregator(), ir_measures.MeanAgg):
        raise LeaderboardError(
            f"{measure} counts over all queries: it has no mean.", "Name a score of a query."
        )
    return Metric(partial(_scores, measure), shown=str(measure), cut=False)


def cutoff(measure: "Measure") -> int | None:
    """The rank at which it cuts the ranking; None where it looks at all of it."""
    value = measure.params.get("cutoff")
    return value if isinstance(value, int) else None


def _scores(measure: "Measure", found: Relevance, k: int) -> np.ndarray:
    """The measure of each query, float64 `[queries]`; its default where nothing was ranked."""
    import ir_measures

    scores = np.full(len(found.gains), float(measure.DEFAULT))
    for first in range(0, len(scores), _AT_ONCE):
        qrels, run = _as_trec(found, range(first, min(first + _AT_ONCE, len(scores))))
        for value in ir_measures.iter_calc([measure], qrels, run):
            scores[int(value.query_id)] = value.value
    return scores


def _as_trec(
    found: Relevance, queries: range
) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, float]]]:
    """Judgements and ranking as ir_measures takes them.

    Queries are numbers, as some of its providers want them. A document is called by its judgement,
    or by its rank where it has none; its score falls with its rank, so that no provider meets ties,
    which they break in different ways, and is above 0, which Compat's takes for not ranked.
    """
    ends = np.searchsorted(found.judged_query, [queries.start, queries.stop])
    qrels: dict[str, dict[str, int]] = {str(query): {} for query in queries}
    for number in range(*ends.tolist()):
        qrels[str(found.judged_query[number])][f"j{number}"] = int(found.judged_gain[number])
    run: dict[str, dict[str, float]] = {}
    depth = found.ranked.shape[1]
    for query in queries:
        ranks = np.flatnonzero(found.ranked[query])
        judgements = found.judgement[query, ranks]
        if len(ranks):
            run[str(query)] = {
                f"j{judgement}" if judgement >= 0 else f"r{rank}": float(depth - rank)
                for rank, judgement in zip(ranks.tolist(), judgements.tolist(), strict=True)
            }
    return qrels, run


def _reason(error: Exception, typed: str) -> str:
    text = str(error) or type(error).__name__
    if "<object object" in text:  # how ir_measures shows that a parameter is missing
        return re.sub(r"invalid param (.+?)=.*", r"it needs a \1.", text)
    return f"{text}."


def _form(measure: "Measure") -> str:
    """How a measure is written, with all its parameters."""
    own = [name for name in measure.SUPPORTED_PARAMS if name != measure.AT_PARAM]
    at = f"@{measure.AT_PARAM}" if measure.AT_PARAM in measure.SUPPORTED_PARAMS else ""
    settings = f"({', '.join(f'{name}=...' for name in own)})" if own else ""
    return f"It is written {measure.NAME}{settings}{at}, all but what it needs left out at will."


def _who_can(measure: "Measure") -> Iterator[str]:
    """Which providers of ir_measures compute a measure of this name, and with which parameters."""
    import ir_measures

    for provider in ir_measures.DefaultPipeline.providers:
        for kind in provider.SUPPORTED_MEASURES:
            if kind.NAME == measure.NAME:
                there = "" if provider.is_available() else f" ({provider.install_instructions()})"
                yield f"{provider.NAME}{there} computes it {_wants(kind.params)}."


def _wants(settings: dict[str, Any]) -> str:
    """What a provider wants of a measure's parameters, in words."""
    words = []
    for name, wanted in settings.items():
        if getattr(wanted, "required", False):
            words.append(f"with {name} given")
        elif choices := getattr(wanted, "choices", ()):
            named = [repr(choice) for choice in choices if type(choice) is not object]
            words.append(f"with {name}={' or '.join(named)}" if named else f"without {name}")
    return ", ".join(words) or "with any parameters"
