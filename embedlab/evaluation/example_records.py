"""What mteb's evaluators scored, example by example, as the results store keeps it."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from embedlab.compat.mteb_internals import Scoring
from leaderboard.records import Examples
from leaderboard.statistics import influence
from leaderboard.statistics.example_values import values

if TYPE_CHECKING:
    from mteb import AbsTask

_MOST_LABELS = 52  # whole numbers up to 2 ** 53 are exact in float64
_Series = dict[str, Any]


def of_subsets(
    task: "AbsTask", subsets: Sequence[str], calls: Sequence[Scoring], scores: Mapping[str, Any]
) -> dict[str, Examples]:
    """The examples of each subset that was evaluated; without a subset whose main score they do
    not give, as where a task scores in a way of its own.

    Args:
        subsets: those that mteb evaluated together.
        calls: of its scoring functions (`scorings`).
        scores: of mteb, by subset.
    """
    # Subsets come together where they are parallel columns, and each is then scored once.
    parts = [[call] for call in calls] if len(subsets) > 1 else [list(calls)]
    found = {}
    for subset, of_subset in zip(subsets, parts, strict=False):
        examples = _examples(task, of_subset, scores[subset])
        if examples and _gives(task, examples, scores[subset]):
            found[subset] = examples
    return found


def _gives(task: "AbsTask", examples: Examples, scores: Mapping[str, Any]) -> bool:
    main = task.metadata.main_score
    single = values(task.metadata.type, main, examples)
    return single is not None and bool(
        np.isclose(np.nanmean(single), scores[main], rtol=0, atol=1e-9)
    )


def _examples(
    task: "AbsTask", calls: Sequence[Scoring], scores: Mapping[str, Any]
) -> Examples | None:
    import mteb.abstasks as kinds

    readers: list[tuple[type, Callable[..., _Series]]] = [
        (kinds.AbsTaskSTS, _pairs_of_texts),
        (kinds.AbsTaskMultilabelClassification, _sets_of_labels),
        (kinds.AbsTaskClassification, _labels),
        (kinds.AbsTaskPairClassification, _labelled_pairs),
        (kinds.AbsTaskBitextMining, _partners),
        (kinds.AbsTaskClustering, _bootstraps),
        (kinds.AbsTaskClusteringLegacy, _sets_of_texts),
        (kinds.AbsTaskSummarization, _summaries),
    ]
    read = next((read for kind, read in readers if isinstance(task, kind)), None)
    if read is None:
        return None
    series = read(task, calls, scores)
    return Examples({name: np.atleast_2d(np.asarray(v, np.float64)) for name, v in series.items()})


def _pairs_of_texts(task: Any, calls: Sequence[Scoring], scores: Any) -> _Series:
    ((predicted, gold),) = (call.arguments for call in calls)
    return {"gold": gold, "cosine": predicted["cosine_scores"]}


def _labelled_pairs(task: Any, calls: Sequence[Scoring], scores: Any) -> _Series:
    ((predicted, gold),) = (call.arguments for call in calls)
    return {"gold": gold, **predicted}


def _partners(task: Any, calls: Sequence[Scoring], scores: Any) -> _Series:
    ((nearest, gold),) = (call.arguments for call in calls)
    pairs = [(gold[i][1], found["corpus_id"]) for i, found in enumerate(nearest)]
    return dict(zip(("gold", "predicted"), np.array(pairs).T, strict=True))


def _labels(task: Any, calls: Sequence[Scoring], scores: Any) -> _Series:
    """Labels by experiment. In cross-validation each fold is one, with the examples that it
    tests (`AbsTaskClassification._evaluate_subset_cross_validation`).
    """
    gold = [np.asarray(call.arguments[0]) for call in calls]
    predicted = [np.asarray(call.arguments[1]) for call in calls]
    if not task.is_cross_validation:
        return {"gold": _numbered(gold[:1], gold), "predicted": _numbered(predicted, gold)}
    from sklearn.model_selection import KFold

    folds = KFold(n_splits=task.n_splits, shuffle=True, random_state=task.seed)
    count = sum(map(len, gold))
    whole = np.full((2, len(gold), count), np.nan)
    for fold, (_, tested) in enumerate(folds.split(range(count))):
        whole[0, fold, tested] = _numbered([gold[fold]], gold)[0]
        whole[1, fold, tested] = _numbered([predicted[fold]], gold)[0]
    return {"gold": whole[0], "predicted": whole[1]}


def _numbered(labels: Sequence[np.ndarray], gold: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Labels as numbers: words by their place among the right ones, others below 0."""
    if all(np.issubdtype(each.dtype, np.number) for each in [*labels, *gold]):
        return list(labels)
    known = sorted({str(label) for each in gold for label in each})
    other = sorted({str(label) for each in labels for label in each} - set(known))
    place = {label: n for n, label in enumerate(known)}
    place |= {label: -1 - n for n, label in enumerate(other)}
    return [np.array([place[str(label)] for label in each]) for each in labels]


def _sets_of_labels(task: Any, calls: Sequence[Scoring], scores: Any) -> _Series:
    gold = np.asarray(calls[0].arguments[0])
    predicted = [np.asarray(call.arguments[1]) for call in calls]
    if gold.shape[1] > _MOST_LABELS:
        return {"accuracy": [(gold == each).all(axis=1) for each in predicted]}
    bits = 2.0 ** np.arange(gold.shape[1])
    return {"gold_set": gold @ bits, "predicted_set": [each @ bits for each in predicted]}


def _bootstraps(task: Any, calls: Sequence[Scoring], scores: Any) -> _Series:
    *bootstraps, whole = calls
    texts = len(whole.arguments[1])
    errors = [
        influence.v_measure(*map(np.asarray, call.arguments)).std() / np.sqrt(texts)
        for call in bootstraps
    ]
    return {
        "v_measure": list(scores["v_measures"].values()),
        "ami": list(scores["ami_scores"].values()),
        "error": [np.mean(errors)],
    }


def _sets_of_texts(task: Any, calls: Sequence[Scoring], scores: Any) -> _Series:
    return {"v_measure": scores["v_measures"]}


def _summaries(task: Any, calls: Sequence[Scoring], scores: Any) -> _Series:
    """The correlation over the summaries of each text; NaN for a text that mteb leaves out, whose
    summaries are judged, or scored, alike.
    """
    from scipy.stats import spearmanr

    ((evaluator, found),) = (call.arguments for call in calls)
    kept = list(zip(found["human_scores"], found["cosine_scores"], strict=True))
    correlations = []
    for judged in evaluator.gold_scores:
        if kept and list(judged) == kept[0][0]:
            correlations.append(float(spearmanr(*kept.pop(0)).statistic))
        else:
            correlations.append(np.nan)
    return {"cosine_spearman": correlations}
