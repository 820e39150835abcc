"""Further measures of runs that are in the store, from the rankings and judgements kept there."""

from collections.abc import Iterator, Sequence
from typing import Any

from embedlab.errors import UserError
from embedlab.evaluation import metrics
from embedlab.evaluation.depth import refuse_beyond
from leaderboard.measures import requested
from leaderboard.records import PerQuery, Run
from leaderboard.storage.store import Store


def measure(store: Store, names: Sequence[str], **where: Any) -> Iterator[tuple[Run, list[str]]]:
    """Score stored rankings by measures that their runs lack, and record these, query by query.

    Args:
        store: it is written to, a run at a time.
        names: of measures: "ERR@20", "Bpref", "nDCG@7".
        where: which runs, as in `Store.runs`; all by default.

    Yields:
        Each run with a ranking, as it was, and the stored names of the measures added to it.

    Raises:
        LeaderboardError: there is no such measure; then nothing is recorded.
        UserError: no run here has a ranking, or one ranks too few documents for a measure.
    """
    stored = dict.fromkeys(requested(name)[0] for name in names)
    found = [row["id"] for row in store.runs(**where).to_pylist() if row["has_ranking"]]
    if not found:
        raise UserError(
            "None of these runs has a ranking.",
            "Rankings are kept of retrieval and reranking tasks. Type: embedlab runs list",
        )
    runs = [store.run(id) for id in found]
    for run in runs:
        lacking = [name for name in stored if name not in run.scores]
        refuse_beyond(lacking, _shallow(run.depth), f"{run.task.name} (run {run.id[:8]})")
    for run in runs:
        lacking = [name for name in stored if name not in run.scores]
        if lacking:
            per_query = _scored(store, run, lacking)
            store.add_scores(run.id, per_query)
        yield run, lacking


def _shallow(depth: int | None) -> int | None:
    """The depth of a run that ranks less than its task asks for; deeper ones hold all."""
    return None if depth is None or depth >= max(metrics.CUTOFFS) else depth


def _scored(store: Store, run: Run, names: Sequence[str]) -> PerQuery:
    ranking, texts = store.ranking(run.id), store.texts(run.task)
    if ranking is None or texts is None:
        raise UserError(
            f"The ranking or the judgements of the run {run.id[:8]} are not there.",
            f"Copy the folder {store.files.root} beside the store again.",
        )
    judgements = metrics.judge(texts.qrels, ranking.query_ids, ranking.document_ids)
    values = metrics.evaluate_on_request(ranking.rows, judgements, names)
    return PerQuery(ranking.query_ids, values)
