"""The metrics of rankings, and their names:
`nDCG@10` as people write it, `ndcg_at_10` as MTEB and the store do.

Ours are `leaderboard.ranking_metrics.METRICS`. An installed package adds one as an entry point of
the group `embedlab.metrics` that leads to a `leaderboard.metric.Metric`; the entry point's name is
the metric's.
"""

import re
from functools import cache

from leaderboard import plugins
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

    Raises:
        LeaderboardError: it is the metric of a package that is broken.
    """
    measure, at, cutoff = name.lower().replace("_at_", "@").partition("@")
    measure = measure.strip()
    if measure in broken():
        raise broken()[measure]
    if at:
        return f"{_typed().get(measure, measure)}_at_{cutoff.strip()}"
    uncut = _typed().get(measure, measure)
    return uncut if uncut in registered() and not registered()[uncut].cut else measure


def shown(name: str) -> str:
    """A metric's name for a table: nDCG@10 for ndcg_at_10;
    names that are none of a registered metric stay.
    """
    measure, at, cutoff = name.partition("_at_")
    metric = registered().get(measure)
    if metric is None or metric.cut != bool(at):
        return f"{measure}@{cutoff}" if at else name
    return f"{metric.shown or measure}@{cutoff}" if at else metric.shown or name
