"""A TREC run and its qrels, scored by our policy, as a run for the results store."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from embedlab.errors import UserError
from embedlab.evaluation import metrics
from leaderboard.errors import Malformed
from leaderboard.exchange.ir_files import read_trec_run
from leaderboard.exchange.mteb_files import imported_id
from leaderboard.exchange.qrels import read_qrels
from leaderboard.records import Model, PerQuery, Ranking, Run, Task, Texts
from leaderboard.storage.store import Store


def trec_run(
    store: Store, run_file: Path, qrels_file: Path, *, model: str, task: str, split: str = "test"
) -> Run:
    """Score a TREC run file as `embedlab eval` scores its own: every judged query counts, also
    where the run lacks it.

    Args:
        store: where the run will be stored; it is not written to here.
        run_file: lines of query, Q0, document, rank, score, tag.
        qrels_file: lines of query, iteration, document, relevance; or of query, document, relevance
            as in BEIR.
        model, task, split: what the run is of.

    Returns:
        The run, with the judgements; `resolved["queries"]` counts those judged, those of them that
        the run ranks, and those of the run that are not judged. Its task's revision is one that the
        store has of the task with these very judgements, or else the judgements' hash: scores by
        other judgements are never taken for comparable.

    Raises:
        UserError: a file is absent or malformed, no query is judged relevant, or run and qrels have
            no query or no document in common.
    """
    try:
        ranking, qrels = read_trec_run(run_file), read_qrels(qrels_file)
    except OSError as error:
        what = "There is no file" if isinstance(error, FileNotFoundError) else f"{error.strerror}:"
        raise UserError(
            f"{what} {error.filename}.", "Type: embedlab import RUN --qrels QRELS ..."
        ) from error
    except Malformed as error:
        raise UserError(
            str(error),
            "A run's line reads `query Q0 document rank score tag`, a qrels' line `query 0 document"
            " relevance`.",
        ) from error
    queries = list(qrels)
    if not any(grade > 0 for judged in qrels.values() for grade in judged.values()):
        raise UserError(
            f"{qrels_file} has no positive judgement.", "Name the qrels file of this run's queries."
        )
    place = {query: row for row, query in enumerate(ranking.query_ids)}
    ranked = [query for query in queries if query in place]
    _check_common(run_file, qrels_file, ranking, qrels, ranked)
    shape = (len(queries), ranking.rows.shape[1])
    rows, scores = np.full(shape, -1, np.int32), np.full(shape, -np.inf, np.float32)
    for position, query in enumerate(queries):
        if query in place:
            rows[position], scores[position] = (
                ranking.rows[place[query]],
                ranking.scores[place[query]],
            )
    rows, scores = metrics.rank(rows, scores, ranking.document_ids, queries)
    values = metrics.evaluate(rows, metrics.judge(qrels, queries, ranking.document_ids))
    means = {name: float(each.mean()) for name, each in values.items()}
    evaluated, judged = (
        Model(model),
        Task(task, "Retrieval", split, revision=_revision(store, task, split, qrels)),
    )
    counts = {
        "judged": len(queries),
        "ranked": len(ranked),
        "not judged": len(ranking.query_ids) - len(ranked),
    }
    return Run(
        evaluated,
        judged,
        means["ndcg_at_10"],
        means,
        per_query=PerQuery(queries, values),
        ranking=Ranking(queries, ranking.document_ids, rows, scores),
        texts=Texts({}, qrels, {}),
        source="trec",
        resolved={"run_file": run_file.name, "qrels_file": qrels_file.name, "queries": counts},
        id=imported_id(
            evaluated, judged, sha256(run_file.read_bytes() + qrels_file.read_bytes()).hexdigest()
        ),
    )


def _revision(store: Store, task: str, split: str, qrels: dict[str, dict[str, int]]) -> str:
    """The revision of the task that has these judgements."""
    known = (
        "SELECT DISTINCT revision FROM tasks WHERE name = ? AND split = ? AND subset = 'default'"
        " ORDER BY revision"
    )
    for revision in store.query(known, [task, split])["revision"].to_pylist():
        stored = store.texts(Task(task, "Retrieval", split, revision=revision))
        if stored and stored.qrels == qrels:
            return str(revision)
    judged = sorted(
        (query, document, grade) for query in qrels for document, grade in qrels[query].items()
    )
    return sha256(json.dumps(judged).encode()).hexdigest()


def _check_common(
    run_file: Path, qrels_file: Path, ranking: Ranking, qrels: dict[str, Any], ranked: list[str]
) -> None:
    """Refuse a run that has nothing to do with the qrels:
    its score of 0 would say nothing of the model.
    """
    if not ranking.query_ids:
        raise UserError(
            f"{run_file} ranks nothing.", "A run's line reads `query Q0 document rank score tag`."
        )
    documents = set(ranking.document_ids)
    if not ranked:
        what, ours, theirs = "queries", ranking.query_ids[0], next(iter(qrels))
    elif not any(document in documents for query in ranked for document in qrels[query]):
        what, ours, theirs = "documents", ranking.document_ids[0], next(iter(qrels[ranked[0]]))
    else:
        return
    raise UserError(
        f"{run_file} ranks none of the {what} that {qrels_file} judges: it has {ours!r}, the qrels"
        f" {theirs!r}.",
        "Name the qrels file of this run's queries, and compare how both write their ids.",
    )
