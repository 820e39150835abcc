"""A RAG run: retrieve, prompt, answer, score; every question is kept as it is done, the whole as a
run of the store.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from embedlab.documents import Corpus
from embedlab.errors import UserError
from embedlab.options import LoadingOptions
from embedlab.progress import Reporter
from embedlab.rag import question_sets, questions, retrieving
from embedlab.rag.evidence import Evidence
from embedlab.rag.pipeline_expressions import PipelineSpec
from embedlab.rag.questions import Question, QuestionSet
from embedlab.rag.rag_parts import Parts
from embedlab.rag.rag_pipeline import Pipeline
from embedlab.rag.rag_record import rag_record
from embedlab.rag.verdicts import Measures
from embedlab.spending import Purse
from leaderboard import records
from leaderboard.storage.store import Store


@dataclass(frozen=True)
class Request:
    """What the user asked for; recorded with the run."""

    pipelines: tuple[PipelineSpec, ...]
    questions: str
    db: Path
    corpus: Path | None = None
    questions_form: str = ""
    split: str = ""
    sample: int | None = None
    generator_model: str = ""
    max_tokens: int = 64
    temperature: float = 0.0
    loading: LoadingOptions = field(default_factory=LoadingOptions)
    models: tuple[str, ...] = ()  # files of code that the index may run
    # Further fields of the requests to a server.
    options: dict[str, Any] = field(default_factory=dict)
    in_flight: int = 16
    budget: float | None = None
    similarity: str = ""
    judge: str = ""
    judge_labels: Path | None = None
    where: str = ""


@dataclass
class Outcome:
    """The stored run, and what came of each question, in the order of the file."""

    run: records.Run
    questions: list[Question]
    answers: list[records.Answer]


def run(request: Request, reporter: Reporter | None = None) -> list[Outcome]:
    """Answer all questions that are not answered yet by the same pipeline, and record the whole,
    pipeline by pipeline.

    Raises:
        UserError, RetrieverError: something in the request cannot be had or used; what was answered
            is kept.
    """
    reporter, store = reporter or Reporter(request.db), Store(request.db)
    asked = question_sets.read(
        request.questions, request.questions_form, request.split, request.sample
    )
    parts = Parts(
        reporter,
        request.loading,
        _corpus(request, asked),
        request.models,
        request.generator_model,
        request.max_tokens,
        request.temperature,
        request.options,
        request.in_flight,
        Purse(request.budget),
        _has_models(request),
        request.where,
    )
    measures = Measures(request.similarity, request.judge, request.judge_labels, parts)
    # Whatever is known to be wrong shows before the first question is asked.
    pipelines = [parts.pipeline(spec) for spec in request.pipelines]
    checked = [_checked(pipeline, asked, reporter) for pipeline in pipelines]
    measures.prepare()
    return [
        _run(request, pipeline, found, measures, store, reporter)
        for pipeline, found in zip(pipelines, checked, strict=True)
    ]


def _run(
    request: Request,
    pipeline: Pipeline,
    asked: QuestionSet,
    measures: Measures,
    store: Store,
    reporter: Reporter,
) -> Outcome:
    task = _task(asked, pipeline.generator is not None)
    one = _by_text(asked.questions)
    known = {
        text: answer
        for text, answer in _kept(pipeline, store).items()
        if text in one and not _misled(pipeline, one[text], answer)
    }
    todo = [question for text, question in one.items() if text not in known]
    reporter.say(f"{pipeline.name} on {task.name}")
    if answered := sum(question.text in known for question in asked.questions):
        reporter.say(f"{answered:,} of {len(asked.questions):,} questions were answered before.")
    with reporter.evaluation(pipeline.name, task.name):
        known |= _answered(pipeline, todo, store, reporter)
        answers = [known[question.text] for question in asked.questions]
        if cut := sum(bool(answer.costs.get("cut")) for answer in answers):
            reporter.say(
                f"{cut:,} answers were cut off at {request.max_tokens} tokens and are not kept:"
                " --max-tokens."
            )
        evidence = Evidence(asked.questions, answers, pipeline)
        more, facts = measures.of(evidence, reporter)
        result = rag_record(request, task, evidence, more, facts)
        store.add(result)
    return Outcome(result, asked.questions, answers)


def _by_text(asked: Sequence[Question]) -> dict[str, Question]:
    """Two questions of one text are one to a pipeline; what helps either is no noise."""
    found: dict[str, Question] = {}
    for question in asked:
        if before := found.get(question.text):
            answers, relevant = before.answers + question.answers, before.relevant
            question = replace(before, answers=answers, relevant=relevant + question.relevant)
        found[question.text] = question
    return found


def _misled(pipeline: Pipeline, question: Question, answer: records.Answer) -> bool:
    """Whether an answer was kept beside noise that is none, as another file's labels had it."""
    if not pipeline.noise:
        return False
    return retrieving.misled(pipeline.source.retriever, question, answer.steps.get("noise", []))


def _kept(pipeline: Pipeline, store: Store) -> dict[str, records.Answer]:
    """What the pipeline has answered; what an earlier version got wrong is forgotten."""
    answers = store.answers(pipeline.identity)
    wrong = [text for text, answer in answers.items() if _without_the_best(pipeline, answer)]
    if wrong:
        store.remove_answers(pipeline.identity, wrong)
    return {text: answer for text, answer in answers.items() if text not in wrong}


def _without_the_best(pipeline: Pipeline, answer: records.Answer) -> bool:
    """Whether an earlier version cut a prompt that was too long at its end, where another order
    than the usual one has the best contexts.
    """
    if not pipeline.order or "read" in answer.steps:
        return False
    given = answer.steps.get("contexts") or [*answer.documents, *answer.steps.get("noise", ())]
    return answer.costs.get("contexts_read", len(given)) < len(given)


def _answered(
    pipeline: Pipeline, todo: Sequence[Question], store: Store, reporter: Reporter
) -> dict[str, records.Answer]:
    """What comes of the questions; each answer is kept as it comes, but for those cut off."""
    found: dict[str, records.Answer] = {}
    if not todo:
        return found
    unit, name = ("tokens", "answer") if pipeline.generator else ("", "retrieve")
    with reporter.phase(name, len(todo), unit) as bar:
        if pipeline.generator is None:
            every = list(pipeline.answers(todo))
            store.add_answers(every)
            bar.advance(len(every))
            return {answer.question: answer for answer in every}
        for answer in pipeline.answers(todo):
            if not answer.costs.get("cut"):  # else it is asked again when the run is
                store.add_answer(answer)
            found[answer.question] = answer
            bar.advance(1, int(answer.costs.get("answer_tokens", 0)))
    return found


def _has_models(request: Request) -> bool:
    """Whether a model is asked for beside those that retrieve."""
    steps = [
        step
        for spec in request.pipelines
        for step in (spec.rewriter, spec.refiner, spec.generator)
        if step
    ]
    several = len({spec.retriever for spec in request.pipelines}) > 1
    return bool(steps or several or request.similarity or request.judge)


def _corpus(request: Request, asked: QuestionSet) -> Path | Corpus | None:
    """Where models find documents: those of --corpus, or the questions' own."""
    if request.corpus is not None:
        return request.corpus
    if all(Path(spec.retriever).is_dir() for spec in request.pipelines):
        return None
    if asked.documents:
        ids = sorted(asked.documents, reverse=True)
        return Corpus(ids, [asked.documents[id] for id in ids])
    return asked.corpus


def _checked(pipeline: Pipeline, asked: QuestionSet, reporter: Reporter) -> QuestionSet:
    """The questions, whose relevant documents the index holds.

    Raises:
        UserError: it lacks one.
    """
    known = set(pipeline.source.retriever.ids)
    named = {id for question in asked.questions for id in question.relevant}
    if asked.own_ids and not named & known and named:
        reporter.say(
            f"{pipeline.source.name} holds none of the documents that the questions name as"
            " relevant: answers alone are scored."
        )
        bare = [Question(q.id, q.text, q.answers, (), q.answerable) for q in asked.questions]
        return QuestionSet(asked.name, bare, own_ids=True)
    for question in asked.questions if not asked.own_ids else ():
        if unknown := next((id for id in question.relevant if id not in known), None):
            raise UserError(
                f"The question {question.id!r} names the document {unknown!r}, which the index"
                " lacks.",
                "The questions and the index belong to different corpora, or the id is misspelt.",
            )
    return asked


def _task(asked: QuestionSet, answered: bool) -> records.Task:
    """The questions as a task of the store;
    contexts alone are another task, with another main metric.
    """
    judged = any(question.relevant for question in asked.questions)
    metric = "f1" if answered else "context_recall" if judged else "answer_recall"
    name = asked.name if answered else f"{asked.name} (contexts)"
    return records.Task(name, "RAG", revision=questions.digest(asked.questions), main_metric=metric)
