"""How many documents are ranked for a query, and which metrics that suffices for.

recall@100 of 20 documents is recall@20 under a wrong name: metrics beyond the depth are not
computed.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from embedlab.errors import UserError
from embedlab.evaluation.retrieval_data import RetrievalData
from leaderboard import measures

if TYPE_CHECKING:
    from mteb.abstasks import AbsTaskRetrieval


def shallow(top_k: int | None, task: "AbsTaskRetrieval", data: RetrievalData) -> int | None:
    """`--top-k` where it cuts the ranking short of what the task's metrics look at; else None.

    Raises:
        UserError: the task's main metric looks further down.
    """
    if data.candidates is None:
        there = len(data.document_ids)
    else:
        there = max((len(data.candidates.get(query, ())) for query in data.query_ids), default=0)
    needed = min(max(task.k_values), there)
    if top_k is None or top_k >= needed:
        return None
    main = task.metadata.main_score
    if not is_within(main, top_k):
        least = re.search(r"_at_(\d+)$", main)
        raise UserError(
            f"{top_k} documents for a query are too few for {measures.shown(main)}, the main metric"
            f" of {task.metadata.name}.",
            f"Type --top-k {min(int(least[1]), needed) if least else needed} or more, or leave it"
            " out.",
        )
    return top_k


def refuse_beyond(names: Sequence[str], depth: int | None, where: str) -> None:
    """Refuse measures that look further down than the ranking goes.

    Args:
        names: of the measures.
        depth: documents ranked for a query where they are fewer than the task's metrics need.
        where: the ranking is of, for the message.

    Raises:
        UserError: the first of them that would be another measure under a wrong name.
    """
    for name in names:
        stored, _, cutoff = measures.requested(name)
        if depth is not None and (cutoff is None or cutoff > depth):
            raise UserError(
                f"{depth} documents for a query are too few for {measures.shown(stored)} on"
                f" {where}.",
                f"Leave --top-k out, or type it as {cutoff} or more."
                if cutoff
                else "Leave --top-k out: this measure looks at the whole ranking.",
            )


def is_within(metric: str, depth: int | None) -> bool:
    """Whether the best `depth` documents decide a metric such as recall_at_10."""
    if depth is None:
        return True
    cutoff = re.fullmatch(r"(.+)_at_(\d+)", metric)
    known = measures.registered().get(cutoff[1]) if cutoff else None
    return cutoff is not None and known is not None and known.cut and int(cutoff[2]) <= depth


def searched(top_k: int | None, depth: int | None, task: "AbsTaskRetrieval") -> int:
    """Documents to search for each query:
    one more where the task then drops one, so that `depth` are left.
    """
    dropped = task.ignore_identical_ids or task.skip_first_result
    return depth + bool(dropped) if depth else max(top_k or 0, max(task.k_values))


def recorded(top_k: int | None, depth: int | None, task: "AbsTaskRetrieval") -> int | None:
    """The depth that tells this run from one with the task's own; None where it is that one."""
    return depth or (top_k if top_k and top_k > max(task.k_values) else None)
