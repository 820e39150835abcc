"""The metrics of rankings, and their names: `nDCG@10` as people write it, `ndcg_at_10` as MTEB and
the store do; further measures of `ir_measures` are called as that library writes them, `ERR@20`.

Ours are `leaderboard.ranking_metrics.METRICS`. An installed package adds one as an entry point of
the group `embedlab.metrics` that leads to a `leaderboard.metric.Metric`; the entry point's name is
the metric's.
"""

import re
from collections.abc import Collection
from difflib import get_close_matches
from functools import cache

from leaderboard import plugins, standard_measures
from leaderboard.errors import LeaderboardError
from leaderboard.metric import Metric
from leaderboard.ranking_metrics import METRICS

GROUP = "embedlab.metrics"
_NAME = re.compile(r"(?!nauc_)(?!.*_at_)[a-z][a-z0-9_-]*")


def reserved() -> set[str]:
    """Names that a plug-in's metric cannot have:
    of ours, and of scores that are none of these metrics.
    """
    return {"main", "accuracy", *_names_of(METRICS)}


def check(plugin: plugins.Plugin) -> Metric:
    """The metric of a plug-in.

    Raises:
        LeaderboardError: it cannot be loaded, is no `Metric`, or has a name that could not be
            typed.
    """
    if not _NAME.fullmatch(plugin.name):
        raise LeaderboardError(
            f"The plug-in {plugin} has no name for a metric.",
            "Small letters, digits, - and _ make one, without _at_ and nauc_ before it.",
        )
    metric: Metric = plugin.load(
        GROUP, lambda value: isinstance(value, Metric), "a leaderboard.metric.Metric"
    )
    return metric


@cache
def _loaded() -> tuple[dict[str, Metric], dict[str, LeaderboardError]]:
    metrics, broken = dict(METRICS), {}
    for name, plugin in plugins.installed(GROUP, reserved()).items():
        try:
            metrics[name] = check(plugin)
        except LeaderboardError as error:
            broken[name] = error
    return metrics, broken


def registered() -> dict[str, Metric]:
    """All metrics by name: ours, then those of installed packages that can be loaded."""
    return _loaded()[0]


def broken() -> dict[str, LeaderboardError]:
    """The metrics of installed packages that cannot be loaded, and why."""
    return _loaded()[1]


def plugin_of(name: str) -> plugins.Plugin | None:
    """The plug-in that a metric comes from; None for ours."""
    return plugins.installed(GROUP, reserved()).get(name)


@cache
def _typed() -> dict[str, str]:
    """What people type, in small letters -> the metric's name; ours go first."""
    return _names_of(registered())


def _names_of(metrics: dict[str, Metric]) -> dict[str, str]:
    names = {name: name for name in metrics}
    for name, metric in metrics.items():
        for other in (*metric.short, metric.shown):
            names.setdefault(other.lower() or name, name)
    return names


def stored(name: str) -> str:
    """The store's name of a metric: nDCG@10, ndcg@10 and ndcg_at_10 are one.

    A name that is none of a ranking's metric, such as cosine_spearman, stands for itself.

    Raises:
        LeaderboardError: it is the metric of a package that is broken.
    """
    found = _registered_name(name)
    if found is None and _looks_standard(name):
        try:
            measure = standard_measures.parse(_with_at(name))
        except LeaderboardError:
            measure = None
        found = str(measure) if measure else None
    base, at, cut = name.lower().strip().partition("@")
    return found or base.strip() + ("_at_" if at else "") + cut.strip()


def requested(name: str) -> tuple[str, Metric, int | None]:
    """A measure that a user asks for beside those of every run.

    Args:
        name: as people write it: "ERR@20", "RBP(p=0.8,rel=1)", "Bpref", "nDCG@7", "map_at_7".

    Returns:
        The store's name, the metric, and the rank at which it cuts the ranking; None where it looks
        at all of it.

    Raises:
        LeaderboardError: there is no such measure, or nothing here computes it.
    """
    known = _registered_name(name)
    if known is not None:
        measure, _, cut = known.partition("_at_")
        metric = registered()[measure]
        if metric.cut and not (cut.isdecimal() and int(cut) > 0):
            raise LeaderboardError(
                f"{name!r} is no measure: the cut-off is a number from 1.",
                f"For example: {metric.shown or measure}@10",
            )
        return known, metric, int(cut) if cut else None
    measure_of_field = standard_measures.parse(_with_at(name))
    if measure_of_field is None:
        raise unknown(name)
    return (
        str(measure_of_field),
        standard_measures.metric(measure_of_field),
        standard_measures.cutoff(measure_of_field),
    )


def unknown(name: str, held: Collection[str] = ()) -> LeaderboardError:
    """The error for what is no metric, with those that are written nearly so.

    Args:
        held: names of the metrics that the results hold.
    """
    base, at, cut = _with_at(name).partition("@")
    ours = [metric.shown or each for each, metric in registered().items() if metric.cut]
    known = [*(f"{each}{at or '@'}{cut or 10}" for each in ours), *map(shown, held)]
    known += [f"{each}{at}{cut}" for each in standard_measures.names()]
    by_lower = {each.lower(): each for each in reversed(known)}
    close = get_close_matches(f"{base}{at}{cut}".lower(), by_lower, n=3, cutoff=0.6)
    hint = f"Did you mean {' or '.join(by_lower[each] for each in close)}? " if close else ""
    return LeaderboardError(
        f"{name!r} is no metric.",
        f"{hint}Valid are for example nDCG@10, AP@100, RR@10, R@100, P@10, Success@5, and every"
        " measure of https://ir-measur.es, such as ERR@20.",
    )


def _registered_name(name: str) -> str | None:
    """The store's name of one of our metrics or of a package's; None where it is of neither.

    Raises:
        LeaderboardError: it is the metric of a package that is broken.
    """
    measure, at, cutoff = _with_at(name.lower()).partition("@")
    measure = measure.strip()
    if measure in broken():
        raise broken()[measure]
    metric = registered().get(_typed().get(measure, ""))
    if metric is None or metric.cut != bool(at):
        return None
    return f"{_typed()[measure]}_at_{cutoff.strip()}" if at else _typed()[measure]


def _looks_standard(name: str) -> bool:
    """Whether a name is of ir_measures rather than of a score that MTEB names: AP is, ap is not."""
    if any(sign in name.lower() for sign in ("@", "(", "_at_")):
        return True
    return name != name.lower() and name.strip() in standard_measures.names()


def _with_at(name: str) -> str:
    """`err_at_20` as `err@20`."""
    return re.sub(r"_at_(?=[\d.]+$)", "@", name.strip(), flags=re.IGNORECASE)


def shown(name: str) -> str:
    """A metric's name for a table: nDCG@10 for ndcg_at_10;
    names that are none of a registered metric stay.
    """
    measure, at, cutoff = name.partition("_at_")
    metric = registered().get(measure)
    if metric is None or metric.cut != bool(at):
        return f"{measure}@{cutoff}" if cutoff.isdecimal() else name
    return f"{metric.shown or measure}@{cutoff}" if at else metric.shown or name
