"""A RAG run: retrieve, prompt, answer, score; every question is kept as it is done, the whole as a
run of the store.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embedlab import corpus_index
from embedlab.errors import UserError
from embedlab.options import LoadingOptions
from embedlab.progress import Reporter
from embedlab.rag import generators, prompt, questions, sources
from embedlab.rag.generator import Generator
from embedlab.rag.questions import Question
from embedlab.rag.rag_record import Pipeline, rag_record
from embedlab.rag.sources import Source
from leaderboard import records
from leaderboard.storage.store import Store

DEFAULT_K = 5


@dataclass(frozen=True)
class Request:
    """What the user asked for; recorded with the run."""

    retriever: str
    questions: Path
    db: Path
    corpus: Path | None = None
    generator: str = ""  # empty: contexts are measured alone
    generator_model: str = ""
    k: int | None = None
    prompt: Path | None = None
    max_tokens: int = 64
    temperature: float = 0.0
    loading: LoadingOptions = field(default_factory=LoadingOptions)
    models: tuple[str, ...] = ()  # files of code that the index may run
    # Further fields of the requests to a server.
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class Outcome:
    """The stored run, and what came of each question, in the order of the file."""

    run: records.Run
    questions: list[Question]
    answers: list[records.Answer]


def run(request: Request, reporter: Reporter | None = None) -> Outcome:
    """Answer all questions that are not answered yet by the same pipeline, and record the whole.

    Raises:
        UserError, RetrieverError: something in the request cannot be had or used; what was answered
            is kept.
    """
    reporter, store = reporter or Reporter(request.db), Store(request.db)
    asked_questions = questions.read(request.questions)
    template = prompt.read(request.prompt)
    source = sources.find(
        request.retriever,
        request.corpus,
        named=request.models,
        **vars(request.loading),
        reporter=reporter,
    )
    k = corpus_index.depth(request.k, source.retriever, DEFAULT_K, "--k")
    _check(source, asked_questions)
    generator = _generator(request)
    pipeline = Pipeline(source, k, template, generator)
    task = _task(request.questions, asked_questions, generator is not None)
    known = store.answers(pipeline.identity)
    todo = sum(question.text not in known for question in asked_questions)
    reporter.say(f"{pipeline.name} on {task.name}")
    if todo < len(asked_questions):
        reporter.say(
            f"{len(asked_questions) - todo:,} of {len(asked_questions):,} questions were answered"
            " before."
        )
    with (
        reporter.evaluation(pipeline.name, task.name),
        reporter.phase(
            "answer" if generator else "retrieve", max(todo, 1), "tokens" if generator else ""
        ) as bar,
    ):
        if todo:
            # What starts on first use is no question's latency.
            source.retriever.search([asked_questions[0].text], 1)
        for question in asked_questions:
            if question.text not in known:
                answer = _answer(pipeline, question.text)
                if not answer.costs.get("cut"):  # else it is asked again when the run is
                    store.add_answer(answer)
                known[question.text] = answer
                bar.advance(1, int(answer.costs.get("answer_tokens", 0)))
    answers = [known[question.text] for question in asked_questions]
    if cut := sum(bool(answer.costs.get("cut")) for answer in answers):
        reporter.say(
            f"{cut:,} answers were cut off at {request.max_tokens} tokens and are not kept:"
            " --max-tokens."
        )
    result = rag_record(request, pipeline, task, asked_questions, answers)
    store.add(result)
    return Outcome(result, asked_questions, answers)


def _check(source: Source, asked_questions: Sequence[Question]) -> None:
    known = set(source.retriever.ids)
    for question in asked_questions:
        if unknown := next((id for id in question.relevant if id not in known), None):
            raise UserError(
                f"The question {question.id!r} names the document {unknown!r}, which the index"
                " lacks.",
                "The questions and the index belong to different corpora, or the id is misspelt.",
            )


def _generator(request: Request) -> Generator | None:
    if not request.generator:
        return None
    return generators.find(
        request.generator,
        model=request.generator_model,
        max_tokens=request.max_tokens,
        temperature=request.temperature,
        device=request.loading.device,
        dtype=request.loading.dtype,
        options=request.options,
    )


def _task(path: Path, asked_questions: list[Question], answered: bool) -> records.Task:
    """The questions as a task of the store;
    contexts alone are another task, with another main metric.
    """
    judged = any(question.relevant for question in asked_questions)
    metric = "f1" if answered else "context_recall" if judged else "answer_recall"
    name = path.stem if answered else f"{path.stem} (contexts)"
    return records.Task(name, "RAG", revision=questions.digest(asked_questions), main_metric=metric)


def _answer(pipeline: Pipeline, question: str) -> records.Answer:
    retriever, generator = pipeline.source.retriever, pipeline.generator
    began = time.perf_counter()
    hits = retriever.search([question], pipeline.k)
    costs = {"retrieve_seconds": time.perf_counter() - began}
    rows = [row for row in hits.rows[0].tolist() if row >= 0]
    documents, text = [retriever.ids[row] for row in rows], None
    if generator:
        contexts = [passage.text for passage in retriever.passages([question], hits.rows)[0]]
        began = time.perf_counter()
        filled, used = prompt.fitted(pipeline.template, contexts, question, generator.fits)
        costs["prompt_seconds"] = time.perf_counter() - began
        began = time.perf_counter()
        generated = generator.generate(filled)
        costs |= {"generate_seconds": time.perf_counter() - began, "contexts_read": used}
        for name in ("prompt_tokens", "answer_tokens"):
            if getattr(generated, name) is not None:
                costs[name] = getattr(generated, name)
        if generated.cut:
            costs["cut"] = 1.0
        text = generated.text
    scores = hits.scores[0][: len(rows)].tolist()
    return records.Answer(pipeline.identity, question, documents, scores, text, costs)
