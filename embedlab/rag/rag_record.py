"""What a RAG run records: scores, costs by stage, contexts,
and everything that shaped the answers.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import quote

import numpy as np

from embedlab.evaluation import metrics as rankings
from embedlab.evaluation.environment import environment
from embedlab.rag import prompt, scoring
from embedlab.rag.evidence import Evidence
from embedlab.rag.generator import Generator
from embedlab.rag.questions import Question
from embedlab.rag.rag_pipeline import Pipeline
from embedlab.servers.secrecy import without_credentials
from leaderboard import records
from leaderboard.ranking_metrics import METRICS

Request: TypeAlias = Any  # an `embedlab.rag.experiment.Request`, which stands above this file

_STAGES = ("rewrite", "retrieve", "refine", "prompt", "generate")
_COUNTS = (
    "rewrite_prompt_tokens", "rewrite_answer_tokens", "refine_prompt_tokens",
    "refine_answer_tokens", "refine_verbatim", "context_tokens_before", "context_tokens",
    "prompt_tokens", "answer_tokens", "contexts_read",
)  # fmt: skip
_SNIPPET = 1_000  # characters of a document kept for the dashboard


def rag_record(
    request: Request,
    task: records.Task,
    evidence: Evidence,
    more: Mapping[str, np.ndarray],
    facts: Mapping[str, Any],
) -> records.Run:
    """The record of a whole run: scores by question, costs by stage,
    what was retrieved, how it came about.

    Args:
        more: further scores of each question by metric; NaN where it has none.
        facts: what the run says of the models that gave them.
    """
    pipeline, answers = evidence.pipeline, evidence.answers
    asked_questions, generator = evidence.questions, pipeline.generator
    metrics = _metrics(evidence) | dict(more)
    scores = {
        name: float(np.nanmean(values))
        for name, values in metrics.items()
        if not np.isnan(values).all()
    }
    example = prompt.fill(pipeline.template, evidence.contexts(0), answers[0].question)
    resolved = {
        "pipeline": pipeline.identity,
        "retriever": {
            "name": pipeline.source.name,
            "identity": pipeline.source.identity,
            "k": pipeline.k,
        },
        "steps": _steps(pipeline),
        "generator": _facts(generator) if generator else {},
        "prompts": {"template": pipeline.template} if generator else {},
        "first_inputs": [example[:2000]] if generator else [],
        "sources": [request.questions],
        **facts,
    }
    phases = {name: sum(a.costs.get(f"{name}_seconds", 0.0) for a in answers) for name in _STAGES}
    server = quote(generator.url, safe=":/") if generator and generator.url else ""
    return records.Run(
        model=records.Model(
            pipeline.name,
            pipeline.identity,
            "rag",
            {"generator": generator.name if generator else ""},
        ),
        task=task,
        main_score=scores.get(task.main_metric, float("nan")),
        scores=scores,
        settings={"server": server} if server else {},
        costs=_costs(answers, generator) | _judge_costs(facts),
        asked=_options(request),
        resolved=resolved,
        environment=environment(),
        phases=[records.Phase(name, seconds) for name, seconds in phases.items() if seconds],
        per_query=records.PerQuery([question.id for question in asked_questions], metrics),
        ranking=_ranking(asked_questions, answers, evidence.documents),
        texts=records.Texts(
            {question.id: question.text for question in asked_questions},
            {
                question.id: dict.fromkeys(question.relevant, 1)
                for question in asked_questions
                if question.relevant
            },
            {id: text[:_SNIPPET] for id, text in evidence.texts.items()},
            {
                question.id: list(question.answers)
                for question in asked_questions
                if question.answers or not question.answerable
            },
        ),
    )


def _options(request: Request) -> dict[str, Any]:
    """The request for the record: how models are loaded stands beside the rest, and no address
    shows its credentials.
    """
    options = records.plain(request)
    loading: dict[str, Any] = options.pop("loading")
    pipelines = [
        ", ".join(
            f"{name}={without_credentials(str(value))}"
            for name, value in vars(spec).items()
            if value
        )
        for spec in request.pipelines
    ]
    return options | loading | {"pipelines": pipelines}


def _steps(pipeline: Pipeline) -> dict[str, str]:
    """What happens between question and prompt beside the search."""
    steps = {
        "rewriter": pipeline.rewriter.name if pipeline.rewriter else "",
        "noise": str(pipeline.noise or ""),
        "refiner": pipeline.refiner.name if pipeline.refiner else "",
        "order": pipeline.order,
    }
    return {name: value for name, value in steps.items() if value}


def _facts(generator: Generator) -> dict[str, Any]:
    """What a run says of its generator."""
    return {
        "name": generator.name,
        "identity": generator.identity,
        **generator.settings,
        "sent": generator.sent,
    }


def _judge_costs(facts: Mapping[str, Any]) -> dict[str, float]:
    judge = facts.get("judge", {})
    return {
        f"judge_{name}": float(value)
        for name, value in judge.items()
        if isinstance(value, float | int)
    }


def _metrics(evidence: Evidence) -> dict[str, np.ndarray]:
    """Scores of each question, float64 `[questions]`;
    NaN where a question lacks what a metric needs.
    """
    metrics: dict[str, np.ndarray] = {}
    mixed = any(not question.answerable for question in evidence.questions)

    def note(name: str, place: int, value: float) -> None:
        metrics.setdefault(name, np.full(len(evidence.answers), np.nan))[place] = value

    for place, (question, answer) in enumerate(
        zip(evidence.questions, evidence.answers, strict=True)
    ):
        said = answer.answer
        if question.answers:
            if said is not None:
                f1 = scoring.f1(said, question.answers)
                note("exact_match", place, scoring.exact_match(said, question.answers))
                note("f1", place, f1)
                note("token_recall", place, scoring.token_recall(said, question.answers))
                if mixed:
                    note("attempted", place, float(not scoring.abstained(said)))
                    note("f1_or_abstention", place, f1)
            found = evidence.retrieved[place]
            note("answer_recall", place, scoring.answer_recall(found, question.answers))
            if "contexts" in answer.steps:
                read = evidence.contexts(place)
                kept = scoring.answer_recall(read, question.answers)
                note("refined_answer_recall", place, kept)
        elif not question.answerable and said is not None:
            note("abstention", place, float(scoring.abstained(said)))
            note("f1_or_abstention", place, float(scoring.abstained(said)))
        if question.relevant:
            note(
                "context_precision",
                place,
                scoring.context_precision(answer.documents, question.relevant),
            )
            note(
                "context_recall", place, scoring.context_recall(answer.documents, question.relevant)
            )
    return metrics | _of_rankings(evidence)


def _of_rankings(evidence: Evidence) -> dict[str, np.ndarray]:
    """nDCG@k, recall@k and judged@k of what was retrieved, over the questions with relevant
    documents.
    """
    relevant = np.array([bool(question.relevant) for question in evidence.questions])
    if not relevant.any():
        return {}
    qrels = {q.id: dict.fromkeys(q.relevant, 1) for q in evidence.questions if q.relevant}
    ids = [question.id for question in evidence.questions]
    known = list(evidence.pipeline.source.retriever.ids)
    ranking = _ranking(evidence.questions, evidence.answers, known)
    k = evidence.pipeline.k
    found = rankings.relevance_of(ranking.rows, rankings.judge(qrels, ids, known))
    scores = {
        f"ndcg_at_{k}": METRICS["ndcg"].score(found, k),
        f"recall_at_{k}": METRICS["recall"].score(found, k),
        f"judged_at_{k}": found.judged[:, :k].sum(axis=1) / np.maximum(found.ranked.sum(axis=1), 1),
    }
    return {name: np.where(relevant, values, np.nan) for name, values in scores.items()}


def _costs(answers: Sequence[records.Answer], generator: Generator | None) -> dict[str, float]:
    """Latency, tokens and price of each stage; "latency" alone is that of the retriever, of one
    question by itself, as in every other run.
    """
    columns = {
        name: np.array([answer.costs[name] for answer in answers if name in answer.costs])
        for name in (*(f"{stage}_seconds" for stage in _STAGES), "latency_seconds", *_COUNTS)
    }
    costs = {name: float(c.sum()) for name, c in columns.items() if len(c) and "seconds" in name}
    costs.pop("latency_seconds", None)
    for prefix, name in (
        ("latency", "latency_seconds"),
        ("rewrite", "rewrite_seconds"),
        ("refine", "refine_seconds"),
        ("generate", "generate_seconds"),
    ):
        column = columns[name]
        if prefix == "latency" and not len(column):  # of a run of an earlier version
            column = columns["retrieve_seconds"]
        if len(column):
            costs |= {
                f"{prefix}_p{p}_ms": float(1000 * np.percentile(column, p)) for p in (50, 95, 99)
            }
    for name in _COUNTS:
        if len(columns[name]):
            ending = "" if name == "refine_verbatim" else "_per_question"
            costs[f"{name}{ending}"] = float(columns[name].mean())
    if before := float(columns["context_tokens_before"].sum()):
        costs["context_tokens_saved"] = 1 - float(columns["context_tokens"].sum()) / before
    if cut := sum(answer.costs.get("cut", 0.0) for answer in answers):
        costs["answers_cut"] = float(cut)
    if len(columns["answer_tokens"]) and costs.get("generate_seconds"):
        costs["answer_tokens_per_second"] = float(
            columns["answer_tokens"].sum() / costs["generate_seconds"]
        )
    priced = [answer.costs["price"] for answer in answers if "price" in answer.costs]
    if priced:
        costs["price_per_question"] = float(np.mean(priced))
    return costs


def _ranking(
    asked_questions: Sequence[Question], answers: Sequence[records.Answer], document_ids: list[str]
) -> records.Ranking:
    place = {id: row for row, id in enumerate(document_ids)}
    depth = max((len(answer.documents) for answer in answers), default=0)
    rows = np.full((len(answers), depth), -1, dtype=np.int32)
    scores = np.full(rows.shape, -np.inf, dtype=np.float32)
    for q, answer in enumerate(answers):
        rows[q, : len(answer.documents)] = [place[id] for id in answer.documents]
        scores[q, : len(answer.scores)] = answer.scores
    return records.Ranking(
        [question.id for question in asked_questions], document_ids, rows, scores
    )
