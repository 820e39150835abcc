"""The averages of a retrieval run under mteb's names,
abstention scores and task-specific scores included.
"""

from collections.abc import Collection, Mapping
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np

from embedlab.evaluation.retrieval_data import RetrievalData
from leaderboard.abstention import naucs
from leaderboard.ranking_metrics import METRICS

if TYPE_CHECKING:
    from mteb.abstasks import AbsTaskRetrieval


def official_scores(
    task: "AbsTaskRetrieval",
    data: RetrievalData,
    rows: np.ndarray,
    scores: np.ndarray,
    per_query: dict[str, np.ndarray],
    *,
    split: str,
    subset: str,
    depth: int | None = None,
) -> dict[str, float]:
    """All scores that mteb reports for a retrieval task, not rounded.

    With a `depth`, fewer documents than mteb retrieves, without those that look at all that it
    does: the task's own, and abstention by the spread of the scores.

    Args:
        task: the mteb task.
        rows, scores: the ranked run, `[queries, k]`.
        per_query: metric -> `[queries]`, as `scorer.evaluate` returns it.
    """
    means = {name: float(values.mean()) for name, values in per_query.items()}
    return {
        **means,
        "accuracy": means["recall_at_1"],
        **_abstention(
            rows, scores, per_query, ("max", "diff1") if depth else ("max", "std", "diff1")
        ),
        **({} if depth else _task_specific(task, data, rows, scores, per_query, split, subset)),
    }


def _abstention(
    rows: np.ndarray,
    scores: np.ndarray,
    per_query: Mapping[str, np.ndarray],
    kinds: Collection[str],
) -> dict[str, float]:
    """nAUC of each metric by three confidences: best score, spread,
    and gap between the best two (arXiv:2402.12997).
    """
    confidences = np.where(rows >= 0, scores, np.nan).astype(np.float64)
    empty = np.isnan(confidences).all(axis=1)
    filled = confidences.copy()
    filled[empty] = 0.0
    second = (
        np.nan_to_num(filled[:, 1], nan=np.inf)
        if confidences.shape[1] > 1
        else np.full(len(confidences), np.inf)
    )
    confidence = {
        "max": np.nanmax(filled, axis=1),
        "std": np.nanstd(filled, axis=1),
        "diff1": np.where(np.isinf(second), 0.0, filled[:, 0] - second),
    }
    asked = {kind: values for kind, values in confidence.items() if kind in kinds}
    return {
        f"nauc_{name}_{kind}": area
        for name, scored in per_query.items()
        if (metric := METRICS.get(name.partition("_at_")[0])) and metric.abstention
        for kind, area in naucs(asked, scored).items()
    }


def _task_specific(
    task: "AbsTaskRetrieval",
    data: RetrievalData,
    rows: np.ndarray,
    scores: np.ndarray,
    per_query: Mapping[str, np.ndarray],
    split: str,
    subset: str,
) -> dict[str, float]:
    """Scores that a task adds of its own (p-MRR and the like),
    computed by the task from the run as dicts.
    """
    from mteb.abstasks import AbsTaskRetrieval

    if type(task).task_specific_scores is AbsTaskRetrieval.task_specific_scores:
        return {}
    run = {
        query: {
            data.document_ids[row]: float(value)
            for row, value in zip(rows[q], scores[q], strict=True)
            if row >= 0
        }
        for q, query in enumerate(data.query_ids)
    }
    trec = {
        f"{metric.trec}_{name.rpartition('_')[2]}": values
        for name, values in per_query.items()
        if (metric := METRICS.get(name.partition("_at_")[0])) and metric.trec
    }
    by_query = {
        query: {name: float(values[q]) for name, values in trec.items()}
        for q, query in enumerate(data.query_ids)
    }
    own_scores = task.task_specific_scores(
        by_query, data.qrels, run, hf_split=split, hf_subset=subset
    )
    # FollowIR and IFIR add tables of the same metrics for parts of the queries:
    # no scores, as in published files.
    return {name: float(value) for name, value in own_scores.items() if isinstance(value, Real)}
