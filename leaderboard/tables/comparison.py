"""Two or more views, task by task: how far apart they are, and whether that is more than chance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import TypeVar

import numpy as np

from leaderboard.errors import LeaderboardError
from leaderboard.saying import Say, silent
from leaderboard.statistics.example_values import QUERIES, Unit, unit
from leaderboard.statistics.intervals import interval, resampled_means
from leaderboard.statistics.significance import (
    CORRECTIONS,
    TESTS,
    choose,
    correct,
    effect_size,
    needed,
    win_tie_loss,
)
from leaderboard.storage import latest_runs
from leaderboard.storage.store import Store
from leaderboard.tables.aggregates import WHOLE
from leaderboard.tables.alignment import per_query
from leaderboard.tables.compared_settings import Setting, differing
from leaderboard.tables.evaluated_views import Tasks, Views, listed, read
from leaderboard.tables.overall import Overall, overall
from leaderboard.tables.sides import Side, Sided, narrowed, pairs_of


@dataclass(frozen=True)
class Pair:
    """First less second on one part of a task.
    What follows `difference` is None where there are no queries, or examples, to test.
    """

    task: str
    split: str
    subset: str
    metric: str
    first: str
    second: str
    first_score: float
    second_score: float
    difference: float
    queries: int | None = None
    unit: str = "queries"  # what they are: pairs of STS, examples of a classifier, ...
    low: float | None = None  # confidence interval of the difference
    high: float | None = None
    p: float | None = None
    corrected_p: float | None = None  # for all the pairs and tasks of the comparison
    wins: int | None = None  # None too where no example has a score of its own (Spearman, F1)
    ties: int | None = None
    losses: int | None = None
    effect_size: float | None = None  # Cohen's d of paired samples
    # Queries with which a t-test at 1 - level would find such a difference in 8 of 10 tries.
    needed: int | None = None


P = TypeVar("P", Pair, Overall)


@dataclass(frozen=True)
class Comparison:
    """All pairs on all tasks that the views share; `notes` say what was left out.

    overall: each pair over all tasks, where there are several.
    views: the labels of what is compared; settings: in what their runs differ beside the model.
    """

    pairs: list[Pair]
    test: str
    correction: str
    level: float
    notes: list[str]
    overall: list[Overall] = field(default_factory=list)
    views: list[str] = field(default_factory=list)
    settings: list[Setting] = field(default_factory=list)


def compare(
    store: Store,
    models: Sequence[str],
    tasks: Tasks | None = None,
    *,
    metric: str = "main",
    test: str = "randomisation",
    correction: str = "holm",
    level: float = 0.95,
    main_revisions: Mapping[str, str] | None = None,
    split: str = "",
    planned: bool = False,
) -> Comparison:
    """Compare views in pairs, in the order of `models`.

    Args:
        store: a `leaderboard.storage.store.Store`.
        models: two or more names, as `Views.select` takes them; several joined by " + " are
            compared by their mean, query by query, as the seeds of one training.
        tasks: as in `evaluated_views.read`; by default every task that all of them
            have.
        metric: nDCG@10, ndcg_at_10, ..., or "main" for each task's main one.
        test: "randomisation", "bootstrap" or "t".
        correction: "holm", "bh" or "none", over all p-values of the answer.
        level: of the confidence intervals (bootstrap over queries).
        main_revisions, split: as in `evaluated_views.read`.
        planned: only the first with the second, the third with the fourth, ...

    Raises:
        LeaderboardError: fewer than two models, an unknown name, no task in common, or different
            query sets or revisions of a task that was scored query by query.
    """
    choose("test", test, TESTS)
    choose("correction", correction, CORRECTIONS)
    if len(models) < 2:
        raise LeaderboardError(
            "A comparison needs two models or more.", "Type: embedlab compare MODEL MODEL"
        )
    with store.database.opened():
        everything = read(store, tasks, metric, main_revisions, split)
        latest_runs.scored_by_query(store)
    return compare_views(
        store, everything, models, test=test, correction=correction, level=level, planned=planned
    )


def compare_views(
    store: Store,
    everything: Views,
    models: Sequence[str],
    *,
    test: str = "randomisation",
    correction: str = "holm",
    level: float = 0.95,
    planned: bool = False,
    say: Say | None = silent,
) -> Comparison:
    """Compare views that were read before; everything else as in `compare`. `say` is told how far
    the tests are; None leaves them out.
    """
    sided = pairs_of(everything, models, planned)
    groups = [narrowed(sided.views, pair) for pair in sided.pairs] if planned else [sided]
    found = [_compared(store, group, test, level, say) for group in groups]
    pairs = _corrected([pair for each, _ in found for pair in each], correction)
    together = _corrected([pair for _, each in found for pair in each], correction)
    if not pairs:
        raise LeaderboardError(
            f"{', '.join(models)} have no task in common.",
            "Evaluate them on one: embedlab eval -m MODEL -t SciFact",
        )
    views = sided.views
    notes = [note for group in groups for note in _left_out(group.views)]
    notes = [*dict.fromkeys(notes), *(_untested(pairs) if say else []), *views.notes]
    if views.mixed:
        notes.append(
            f"Scored on different revisions, whose data may differ: {listed(views.mixed)}."
        )
    labels = views.table["label"].tolist()
    settings = differing(store, views, {pair.task for pair in pairs})
    return Comparison(pairs, test, correction, level, notes, together, labels, settings)


def compare_scores(
    task: str,
    metric: str,
    scored: Mapping[str, np.ndarray],
    *,
    test: str = "randomisation",
    correction: str = "holm",
    level: float = 0.95,
) -> Comparison:
    """Compare what is at hand in pairs, whatever else a store holds of the same names.

    Args:
        task, metric: as they are shown.
        scored: scores of the same queries by name, float64 `[queries]`; a query that either of a
            pair has no score of (NaN) is left out.
        test, correction, level: as in `compare`.
    """
    pairs = []
    for (first, a), (second, b) in combinations(scored.items(), 2):
        both = ~(np.isnan(a) | np.isnan(b))
        means = (float(x[both].mean()) if both.any() else np.nan for x in (a, b))
        one, other = means
        pair = Pair(task, "", WHOLE, metric, first, second, one, other, one - other)
        several = both.sum() > 1
        pairs.append(_tested(pair, a[both], b[both], test, level) if several else pair)
    return Comparison(_corrected(pairs, correction), test, correction, level, _untested(pairs))


def _compared(
    store: Store, sided: Sided, test: str, level: float, say: Say | None
) -> tuple[list[Pair], list[Overall]]:
    """The pairs on every task that all their views have, and over all of these; not corrected."""
    views = sided.views
    shared = _shared(views)
    if say is None:
        return [
            p for task in shared for p in _on_task(views, sided.pairs, task, {}, test, level)
        ], []
    scored = per_query(store, views, shared)
    pairs = []
    for number, task in enumerate(shared):
        say(f"Testing task {number + 1} of {len(shared)}", number / len(shared))
        pairs += _on_task(views, sided.pairs, task, scored[task], test, level)
    sizes = views.runs[["task", "split", "subset"]].drop_duplicates()["task"].value_counts()
    together = overall(
        sided.pairs,
        views.scores[shared].to_numpy(),
        [(int(sizes[task]), scored[task]) for task in shared],
        test=test,
        level=level,
    )
    return pairs, together


def _corrected(pairs: list[P], correction: str) -> list[P]:
    p_values = correct([np.nan if pair.p is None else pair.p for pair in pairs], correction)
    return [
        pair if pair.p is None else replace(pair, corrected_p=float(p))
        for pair, p in zip(pairs, p_values, strict=True)
    ]


def _shared(views: Views) -> list[str]:
    """The tasks that all of the views have."""
    found: list[str] = views.scores.columns[views.scores.notna().all()].tolist()
    return found


def _left_out(views: Views) -> list[str]:
    """Which tasks some of the views lack, one sentence for all that the same views lack."""
    tasks: dict[str, list[str]] = {}
    for task in views.scores.columns.difference(_shared(views)):
        if views.scores[task].notna().any():
            tasks.setdefault(", ".join(views.table["label"][views.scores[task].isna()]), []).append(
                task
            )
    return [
        f"{_tasks(names)} left out, not evaluated with {who}: {listed(names)}."
        for who, names in tasks.items()
    ]


def _untested(pairs: list[Pair]) -> list[str]:
    names = sorted({pair.task for pair in pairs if pair.p is None})
    if not names:
        return []
    return [f"{_tasks(names)} without scores of single queries or examples: {listed(names)}."]


def _tasks(names: list[str]) -> str:
    return f"{len(names)} task is" if len(names) == 1 else f"{len(names)} tasks are"


def _on_task(
    views: Views,
    sides: Sequence[tuple[Side, Side]],
    task: str,
    scored: Mapping[tuple[str, str], np.ndarray],
    test: str,
    level: float,
) -> list[Pair]:
    """Pair by pair, part by part;
    whole by whole where one of the two has the task in other parts (an aggregate).
    """
    of_task = views.runs[views.runs["task"] == task]
    metric = of_task["metric"].iloc[0]
    of = unit(of_task["type"].iloc[0], metric)
    by_view = {
        view: dict(zip(zip(runs["split"], runs["subset"], strict=True), runs["score"], strict=True))
        for view, runs in of_task.groupby("view")
    }
    of_views = [by_view[view] for view in views.table.index]
    pairs = []
    for first, second in sides:
        a, b = first.parts(of_views), second.parts(of_views)
        names = (metric, first.label, second.label)
        if a is None or b is None or a.keys() != b.keys():
            means = views.scores[task].to_numpy()
            one, other = float(first.mean(means)), float(second.mean(means))
            split = of_task["split"].iloc[0]
            pairs.append(Pair(task, split, WHOLE, *names, one, other, one - other))
            continue
        for part in sorted(a):
            pair = Pair(task, *part, *names, a[part], b[part], a[part] - b[part])
            if part in scored and scored[part].shape[1] > 1:
                each = scored[part]
                pair = _tested(pair, first.mean(each), second.mean(each), test, level, of)
            pairs.append(pair)
    return sorted(pairs, key=lambda pair: (pair.split, pair.subset))


def _tested(
    pair: Pair, first: np.ndarray, second: np.ndarray, test: str, level: float, of: Unit = QUERIES
) -> Pair:
    differences = first - second
    low, high = interval(resampled_means([[differences[None]]], resamples=10_000), level)
    effect = float(effect_size(differences))
    more = needed(effect, alpha=1 - level) if of.name != "clusterings" else None
    return replace(
        pair,
        difference=float(differences.mean()),
        queries=len(differences),
        unit=of.name,
        low=float(low[0]),
        high=float(high[0]),
        p=float(TESTS[test](differences)),
        effect_size=effect,
        needed=more,
        **(win_tie_loss(differences)._asdict() if of.own else {}),
    )
