"""A TREC run and its qrels, scored by our policy, as a run for the results store."""

from hashlib import sha256
from pathlib import Path

import numpy as np

from embedlab.errors import UserError
from embedlab.evaluation import scorer
from leaderboard.ir_files import read_qrels, read_trec_run
from leaderboard.mteb_files import Malformed, imported_id
from leaderboard.records import Model, PerQuery, Ranking, Run, Task


def trec_run(run_file: Path, qrels_file: Path, *, model: str, task: str, split: str = "test") -> Run:
    """Score a TREC run file: every query with a positive judgement counts, also where the run lacks it.

    Args:
        run_file: lines of query, Q0, document, rank, score, tag.
        qrels_file: lines of query, iteration, document, relevance.
        model, task, split: what the run is of.

    Raises:
        UserError: a file is absent or malformed, or no query is judged.
    """
    try:
        found, qrels = read_trec_run(run_file), read_qrels(qrels_file)
    except (Malformed, OSError) as error:
        raise UserError(
            str(error),
            "A run's line reads `query Q0 document rank score tag`, a qrels' line `query 0 document relevance`.",
        ) from error
    queries = [query for query, judged in qrels.items() if max(judged.values()) > 0]
    if not queries:
        raise UserError(f"{qrels_file} has no positive judgement.", "Name the qrels file of this run's queries.")
    place = {query: row for row, query in enumerate(found.query_ids)}
    shape = (len(queries), found.rows.shape[1])
    rows, scores = np.full(shape, -1, np.int32), np.full(shape, -np.inf, np.float32)
    for position, query in enumerate(queries):
        if query in place:
            rows[position], scores[position] = found.rows[place[query]], found.scores[place[query]]
    rows, scores = scorer.rank(rows, scores, found.document_ids, queries)
    metrics = scorer.evaluate(rows, scorer.judge(qrels, queries, found.document_ids))
    means = {name: float(values.mean()) for name, values in metrics.items()}
    evaluated, judged = Model(model), Task(task, "Retrieval", split)
    return Run(
        evaluated,
        judged,
        means["ndcg_at_10"],
        means,
        per_query=PerQuery(queries, metrics),
        ranking=Ranking(queries, found.document_ids, rows, scores),
        source="trec",
        resolved={"run_file": run_file.name, "qrels_file": qrels_file.name},
        id=imported_id(evaluated, judged, sha256(run_file.read_bytes() + qrels_file.read_bytes()).hexdigest()),
    )
