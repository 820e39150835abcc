"""What a RAG run records: scores, costs by stage, contexts,
and everything that shaped the answers.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from embedlab.evaluation.environment import environment
from embedlab.rag import prompt, scoring
from embedlab.rag.generator import Generator
from embedlab.rag.questions import Question
from embedlab.rag.sources import Source
from embedlab.servers.secrecy import without_credentials
from leaderboard import records

Request: TypeAlias = Any  # an `embedlab.rag.experiment.Request`, which stands above this file

_STAGES = ("retrieve", "prompt", "generate")
_SNIPPET = 1_000  # characters of a document kept for the dashboard


@dataclass(frozen=True)
class Pipeline:
    """Everything that shapes an answer but the question."""

    source: Source
    k: int
    template: str
    generator: Generator | None

    @property
    def name(self) -> str:
        return f"{self.source.name} + {self.generator.name}" if self.generator else self.source.name

    @property
    def identity(self) -> str:
        generator = (
            (self.generator.identity, self.generator.settings, self.template)
            if self.generator
            else None
        )
        parts = [self.source.identity, self.k, generator]
        return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:16]


def rag_record(
    request: Request,
    pipeline: Pipeline,
    task: records.Task,
    asked_questions: Sequence[Question],
    answers: Sequence[records.Answer],
) -> records.Run:
    """The record of a whole run: scores by question, costs by stage,
    what was retrieved, how it came about.
    """
    retriever, generator = pipeline.source.retriever, pipeline.generator
    row_of = {id: row for row, id in enumerate(retriever.ids)}
    document_ids = list(dict.fromkeys(id for answer in answers for id in answer.documents))
    texts = {id: retriever.text(row_of[id]) or "" for id in document_ids}
    contexts = _contexts(pipeline, answers, row_of)
    metrics = _metrics(asked_questions, answers, contexts)
    scores = {
        name: float(np.nanmean(values))
        for name, values in metrics.items()
        if not np.isnan(values).all()
    }
    example = prompt.fill(pipeline.template, contexts[0], answers[0].question)
    resolved = {
        "pipeline": pipeline.identity,
        "retriever": {
            "name": pipeline.source.name,
            "identity": pipeline.source.identity,
            "k": pipeline.k,
        },
        "generator": (
            {
                "name": generator.name,
                "identity": generator.identity,
                **generator.settings,
                "sent": generator.sent,
            }
            if generator
            else {}
        ),
        "prompts": {"template": pipeline.template} if generator else {},
        "first_inputs": [example[:2000]] if generator else [],
        "sources": [str(request.questions)],
    }
    phases = {name: sum(a.costs.get(f"{name}_seconds", 0.0) for a in answers) for name in _STAGES}
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
        costs=_costs(answers),
        asked={**_options(request), "generator": without_credentials(request.generator)},
        resolved=resolved,
        environment=environment(),
        phases=[records.Phase(name, seconds) for name, seconds in phases.items() if seconds],
        per_query=records.PerQuery([question.id for question in asked_questions], metrics),
        ranking=_ranking(asked_questions, answers, document_ids),
        texts=records.Texts(
            {question.id: question.text for question in asked_questions},
            {
                question.id: dict.fromkeys(question.relevant, 1)
                for question in asked_questions
                if question.relevant
            },
            {id: text[:_SNIPPET] for id, text in texts.items()},
        ),
    )


def _options(request: Request) -> dict[str, Any]:
    """The request for the record: how models are loaded stands beside the rest."""
    options = records.plain(request)
    loading: dict[str, Any] = options.pop("loading")
    return options | loading


def _facts(generator: Generator) -> dict[str, Any]:
    """What a run says of its generator."""
    return {
        "name": generator.name,
        "identity": generator.identity,
        **generator.settings,
        **({"sent": generator.sent} if generator.sent else {}),
    }


def _contexts(
    pipeline: Pipeline, answers: Sequence[records.Answer], row_of: dict[str, int]
) -> list[list[str]]:
    """What the documents of each answer said to its question."""
    depth = max((len(answer.documents) for answer in answers), default=0)
    rows = np.full((len(answers), depth), -1, dtype=np.int64)
    for place, answer in enumerate(answers):
        rows[place, : len(answer.documents)] = [row_of[id] for id in answer.documents]
    asked = [answer.question for answer in answers]
    found = pipeline.source.retriever.passages(asked, rows)
    return [[passage.text for passage in some] for some in found]


def _metrics(
    asked_questions: Sequence[Question],
    answers: Sequence[records.Answer],
    contexts: Sequence[list[str]],
) -> dict[str, np.ndarray]:
    """Scores of each question, float64 `[questions]`;
    NaN where a question lacks what a metric needs.
    """
    metrics: dict[str, np.ndarray] = {}

    def note(name: str, place: int, value: float) -> None:
        metrics.setdefault(name, np.full(len(answers), np.nan))[place] = value

    every = zip(asked_questions, answers, contexts, strict=True)
    for place, (question, answer, read) in enumerate(every):
        if question.answers:
            if answer.answer is not None:
                note("exact_match", place, scoring.exact_match(answer.answer, question.answers))
                note("f1", place, scoring.f1(answer.answer, question.answers))
            note("answer_recall", place, scoring.answer_recall(read, question.answers))
        if question.relevant:
            note(
                "context_precision",
                place,
                scoring.context_precision(answer.documents, question.relevant),
            )
            note(
                "context_recall", place, scoring.context_recall(answer.documents, question.relevant)
            )
    return metrics


def _costs(answers: Sequence[records.Answer]) -> dict[str, float]:
    """Latency and tokens of each stage;
    "latency" alone is that of the retriever, as in every other run.
    """
    columns = {
        name: np.array([answer.costs[name] for answer in answers if name in answer.costs])
        for name in (
            "retrieve_seconds",
            "generate_seconds",
            "prompt_tokens",
            "answer_tokens",
            "contexts_read",
        )
    }
    costs = {}
    for prefix, name in (("latency", "retrieve_seconds"), ("generate", "generate_seconds")):
        if len(columns[name]):
            costs[name] = float(columns[name].sum())
            costs |= {
                f"{prefix}_p{p}_ms": float(1000 * np.percentile(columns[name], p))
                for p in (50, 95, 99)
            }
    for name in ("prompt_tokens", "answer_tokens"):
        if len(columns[name]):
            costs[f"{name}_per_question"] = float(columns[name].mean())
    if cut := sum(answer.costs.get("cut", 0.0) for answer in answers):
        costs["answers_cut"] = float(cut)
    if len(columns["contexts_read"]):
        costs["contexts_read_per_question"] = float(columns["contexts_read"].mean())
    if len(columns["answer_tokens"]) and costs["generate_seconds"]:
        costs["answer_tokens_per_second"] = float(
            columns["answer_tokens"].sum() / costs["generate_seconds"]
        )
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
